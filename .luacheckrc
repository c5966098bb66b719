std = 'luajit'
globals = {'box'}
read_globals = {'_TARANTOOL', package = {fields = {'search'}}}
exclude_files = {'test/npm/node_modules'}
include_files = {'init.lua', 'backup.lua', 'tarantool_infra/**/*.lua', 'test/**/*.lua'}
