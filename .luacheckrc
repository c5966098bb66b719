std = 'luajit'
globals = {'box'}
read_globals = {'_TARANTOOL'}
include_files = {'init.lua', 'tarantool_infra/**/*.lua', 'test/**/*.lua'}
