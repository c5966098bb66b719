-- Starts an instance of authkv. The only file that reads the environment: every AUTHKV_… variable is a setting.

local fio = require('fio')
local log = require('log')
local utf8 = require('utf8')
local environ = os.environ -- luacheck: ignore

local here = fio.dirname(fio.abspath(arg[0]))
package.cpath = ('%s/target/release/lib?.so;%s'):format(here, package.cpath)

local function fail(message)
    io.stderr:write('authkv: ', tostring(message), '\n')
    os.exit(1)
end

local function given_settings()
    local given = {}
    for name, value in pairs(environ()) do
        local setting = name:match('^AUTHKV_(.*)$')
        if setting ~= nil and utf8.len(value) == nil then
            fail(name .. ' should be valid UTF-8')
        end
        -- An empty variable counts as none, as in a compose file.
        if setting ~= nil and value ~= '' then
            given[setting] = value
        end
    end
    -- What a layout sets, the environment may set otherwise.
    local name = given.LAYOUT or 'single'
    local layout = ('%s/tarantool_infra/layouts/%s.lua'):format(here, name)
    if name:match('^[%w_]+$') and fio.path.exists(layout) then
        for setting, value in pairs(dofile(layout)) do
            given[setting] = given[setting] or value
        end
    end
    return given
end

-- Warns if Tarantool has taken more memory than was asked for, as from 2.11 on with less than 64 MiB.
local function check_memory(asked)
    local KIB = 1024 -- Tarantool rounds up to that.
    local in_force = tonumber(box.slab.info().quota_size)
    if in_force - asked >= KIB then
        log.warn('AUTHKV_MEMTX_MEMORY is %d, but the limit in force is %d bytes: Tarantool %s has no smaller one',
            asked, in_force, _TARANTOOL)
    end
end

local function start(authkv, given, settings)
    if not fio.path.is_dir(settings.data_dir) then
        local ok, err = fio.mktree(settings.data_dir, tonumber('700', 8))
        if not ok then
            error(('cannot make the directory %s: %s'):format(settings.data_dir, err), 0)
        end
    end
    -- iproto listens only once the schema and the rights are in place.
    box.cfg({
        memtx_dir = settings.data_dir,
        wal_dir = settings.data_dir,
        vinyl_dir = settings.data_dir,
        memtx_memory = tonumber(settings.memtx_memory),
        memtx_max_tuple_size = tonumber(settings.memtx_max_tuple_size),
        read_only = settings.read_only == 'true',
        log_format = settings.log_format,
    })
    check_memory(tonumber(settings.memtx_memory))
    local started = authkv.start(given)
    box.ctl.on_shutdown(authkv.stop)
    if box.ctl.set_on_shutdown_timeout ~= nil then
        box.ctl.set_on_shutdown_timeout(tonumber(settings.shutdown_timeout) + 2)
    end
    if settings.iproto_listen ~= '' then
        box.cfg({listen = settings.iproto_listen})
    end
    if settings.console_listen ~= '' then
        local umask = fio.umask(tonumber('177', 8))
        require('console').listen('unix/:' .. settings.console_listen)
        fio.umask(umask)
    end
    return started
end

local function greet(settings, started)
    for _, address in ipairs(started.http) do
        print('HTTP    ' .. (address:match('^[%d%[]') and 'http://' .. address or address))
    end
    if #started.http == 0 then
        print('HTTP    off')
    end
    print('iproto  ' .. (settings.iproto_listen ~= '' and settings.iproto_listen or 'off'))
    local console = settings.console_listen
    print('console ' .. (console ~= '' and require('authkv.tools').connect(console) or 'off'))
    if started.admin_password ~= nil then
        print('The user admin was made. Its password, shown only this once: ' .. started.admin_password)
    end
    local first = started.http[1]
    if first ~= nil and first:match('^[%d%[]') and settings.auth == 'true' then
        print('To log in:')
        local address = first:gsub('^0%.0%.0%.0:', '127.0.0.1:'):gsub('^%[::%]:', '[::1]:')
        print(("  curl -s http://%s/api/login/ -d '{\"login\": \"admin\", \"password\": \"…\"}'"):format(address))
    end
    print('authkv: ready')
    io.stdout:flush()
end

local ok, authkv = pcall(require, 'authkv')
if not ok or type(authkv) ~= 'table' then
    fail(ok and 'the library did not load' or authkv)
end
rawset(_G, 'authkv', authkv)
local given = given_settings()
local checked, settings = pcall(authkv.check_settings, given)
if not checked then
    fail(settings)
end
local done, started = pcall(start, authkv, given, settings)
if not done then
    fail(started)
end
greet(settings, started)
