std = 'luajit'
globals = {'box'}
include_files = {'init.lua', 'tarantool_infra/**/*.lua', 'test/**/*.lua'}
