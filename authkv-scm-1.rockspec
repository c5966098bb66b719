-- `tarantoolctl rocks make` or `tt rocks make` in a checkout: builds the library, and installs it into .rocks.
rockspec_format = '1.0'
package = 'authkv'
version = 'scm-1'
description = {
    summary = 'Authentication and a batch key-value store inside Tarantool, with HTTP',
    license = 'BSD-2-Clause',
}
-- `make` takes the checkout that it runs in.
source = {
    url = 'git+file://.',
}
dependencies = {
    'tarantool >= 2.6',
}
build = {
    type = 'make',
    build_target = 'build',
    install_target = 'install',
    -- The Makefile has no use for what LuaRocks suggests.
    build_variables = {
        CFLAGS = '',
    },
    install_variables = {
        MODULEDIR = '$(LIBDIR)',
        LUADIR = '$(LUADIR)',
        DATADIR = '$(PREFIX)',
    },
}
