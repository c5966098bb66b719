-- Starts an instance of authkv. The only file that reads the environment, of which tarantool_infra/sources.lua makes
-- settings.

local fio = require('fio')
local log = require('log')
local environ = os.environ -- luacheck: ignore

local here = fio.dirname(fio.abspath(arg[0]))
-- The library is where `make build`, `rocks make` or `make install` has put it, or where Tarantool looks anyway.
for _, place in ipairs({'../../lib/tarantool/?.so', '.rocks/lib/tarantool/?.so', 'target/release/lib?.so'}) do
    package.cpath = ('%s/%s;%s'):format(here, place, package.cpath)
end

local function fail(message)
    io.stderr:write('authkv: ', tostring(message), '\n')
    os.exit(1)
end

-- Warns if Tarantool uses more memory than asked for, as 2.11 and newer do below 64 MiB.
local function check_memory(asked)
    local KIB = 1024 -- Tarantool rounds up to that.
    local in_force = tonumber(box.slab.info().quota_size)
    if in_force - asked >= KIB then
        log.warn('AUTHKV_MEMTX_MEMORY is %d, but the limit in force is %d bytes: Tarantool %s has no smaller one',
            asked, in_force, _TARANTOOL)
    end
end

local function start(authkv, process, read, sources, settings)
    local given, left_out = sources.settings, sources.left_out
    -- Whoever loads this file may have called box.cfg before, for example to join a replica set.
    if type(box.cfg) == 'function' then
        authkv.prepare(given)
    end
    -- iproto listens only after the schema and the rights are set.
    process.configure(settings)
    if settings.force_recovery == 'true' then
        -- Later starts read this snapshot, and not the damaged files.
        box.snapshot()
        log.warn('authkv: a snapshot was made after the forced recovery: the next start needs no AUTHKV_FORCE_RECOVERY')
    end
    check_memory(tonumber(settings.memtx_memory))
    if #left_out > 0 then
        local names = table.concat(left_out, ', ')
        log.info('authkv: what Kubernetes says of services is no setting: %s', names)
    end
    for _, warning in ipairs(sources.warnings) do
        log.warn('authkv: %s', warning)
    end
    local started = authkv.start(given, {from = sources.from, read = read})
    -- Before anything else can fail.
    if started.admin_password ~= nil then
        print(process.shown(started.admin_password))
        io.stdout:flush()
    end
    box.ctl.on_shutdown(authkv.stop)
    -- An instance of a replica set listens already.
    if settings.iproto_listen ~= '' and box.cfg.listen == nil then
        local listens, err = pcall(box.cfg, {listen = settings.iproto_listen})
        if not listens then
            error(('cannot listen on %s, which is AUTHKV_IPROTO_LISTEN: %s'):format(settings.iproto_listen, err), 0)
        end
    end
    if settings.console_listen ~= '' then
        local umask = fio.umask(tonumber('177', 8))
        local listens, err = pcall(require('console').listen, 'unix/:' .. settings.console_listen)
        fio.umask(umask)
        if not listens then
            error(('cannot listen on %s, which is AUTHKV_CONSOLE_LISTEN: %s'):format(settings.console_listen, err), 0)
        end
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
    for _, address in ipairs(started.admin or {}) do
        print('Admin   ' .. (address:match('^[%d%[]') and 'http://' .. address or address))
    end
    print('iproto  ' .. (settings.iproto_listen ~= '' and settings.iproto_listen or 'off'))
    local console = settings.console_listen
    print('console ' .. (console ~= '' and require('authkv.tools').connect(console) or 'off'))
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
local origins = require('authkv.sources')
local read = origins.new(environ(), here)
local known, sources = pcall(read)
if not known then
    fail(sources)
end
local checked, settings = pcall(authkv.check_settings, sources.settings)
if not checked then
    fail(origins.explain(settings, sources.from))
end
local done, started = pcall(start, authkv, require('authkv.process'), read, sources, settings)
if not done then
    fail(started)
end
greet(settings, started)
