-- Starts an instance of authkv. The only file that reads the environment: every AUTHKV_… variable is a setting.

local fio = require('fio')
local log = require('log')
local utf8 = require('utf8')
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

-- Recognizes variables that Kubernetes sets for a Service whose name begins with authkv. Their values are checked too,
-- so that a mistyped setting is not taken for one of them.
local PROTOCOLS = {tcp = true, udp = true, sctp = true}

local function is_port(value)
    return value:match('^[1-9]%d*$') ~= nil and tonumber(value) <= 65535
end

local function is_address(value)
    local bytes = {value:match('^(%d+)%.(%d+)%.(%d+)%.(%d+)$')}
    for _, byte in ipairs(bytes) do
        if tonumber(byte) > 255 then
            return false
        end
    end
    return #bytes == 4 or value:match('^%x*:[%x:]*:[%x%.]*$') ~= nil
end

-- The protocol and the port of an address like tcp://10.0.0.1:80 or udp://[fd00::1]:53.
local function endpoint(value)
    local protocol, host, port = value:match('^(%l+)://([%d%.]+):(%d+)$')
    if host == nil then
        protocol, host, port = value:match('^(%l+)://%[([%x:%.]+)%]:(%d+)$')
    end
    if PROTOCOLS[protocol] and is_address(host) and is_port(port) then
        return protocol, port
    end
end

-- Each form: the end of the name, and a check of the value. The name begins with that of the Service.
local KUBERNETES = {
    {'_SERVICE_HOST', is_address},
    {'_SERVICE_PORT', is_port},
    {'_SERVICE_PORT_[%u%d_]*[%u%d]', is_port},
    {'_PORT', function(value) return endpoint(value) ~= nil end},
    {'_PORT_(%d+)_(%u+)', function(value, port, protocol)
        local given_protocol, given_port = endpoint(value)
        return given_protocol == protocol and given_port == port
    end},
    {'_PORT_(%d+)_(%u+)_PROTO', function(value, _, protocol) return PROTOCOLS[protocol] and value == protocol end},
    {'_PORT_(%d+)_(%u+)_PORT', function(value, port, protocol) return PROTOCOLS[protocol] and value == port end},
    {'_PORT_(%d+)_(%u+)_ADDR', function(value, _, protocol) return PROTOCOLS[protocol] and is_address(value) end},
}

local function is_of_kubernetes(name, value)
    for _, form in ipairs(KUBERNETES) do
        local service, port, protocol = name:match('^AUTHKV([%u%d_]*)' .. form[1] .. '$')
        local is_name = service == '' or service ~= nil and service:match('^_[%u%d_]*[%u%d]$') ~= nil
        if is_name and form[2](value, port, protocol and protocol:lower()) then
            return true
        end
    end
    return false
end

-- The content of a file with a secret, without the line ends that editors and commands add.
local function secret_in(variable, path)
    local MAX = 65536
    local file, err = io.open(path, 'rb')
    local text
    if file ~= nil then
        text, err = file:read(MAX + 1)
        file:close()
    end
    if text == nil then
        fail(('cannot read %s, which is %s: %s'):format(path, variable, err or 'it is empty'))
    end
    if #text > MAX or utf8.len(text) == nil then
        fail(('%s, which is %s, should be a text of at most %d bytes'):format(path, variable, MAX))
    end
    text = text:gsub('[\r\n]+$', '')
    if text == '' then
        fail(('cannot read %s, which is %s: it is empty'):format(path, variable))
    end
    return text
end

-- Takes secrets from files: AUTHKV_ADMIN_PASSWORD_FILE is the path of a file with AUTHKV_ADMIN_PASSWORD.
local function read_secrets(given)
    for _, secret in ipairs(require('authkv.native').secrets()) do
        local variable, path = ('AUTHKV_%s_FILE'):format(secret), given[secret .. '_FILE']
        if path ~= nil and given[secret] ~= nil then
            fail(('AUTHKV_%s and %s are both given'):format(secret, variable))
        end
        given[secret] = path ~= nil and secret_in(variable, path) or given[secret]
        given[secret .. '_FILE'] = nil
    end
end

-- Returns the settings, and the names of variables that were ignored because Kubernetes set them.
local function given_settings()
    local given, left_out = {}, {}
    for name, value in pairs(environ()) do
        local setting = name:match('^AUTHKV_(.*)$')
        if setting ~= nil and is_of_kubernetes(name, value) then
            table.insert(left_out, name)
            setting = nil
        end
        if setting ~= nil and utf8.len(value) == nil then
            fail(name .. ' should be valid UTF-8')
        end
        -- An empty variable counts as missing, as in a compose file.
        if setting ~= nil and value ~= '' then
            given[setting] = value
        end
    end
    read_secrets(given)
    -- The environment overrides the layout.
    local name = given.LAYOUT or 'single'
    local layout = ('%s/tarantool_infra/layouts/%s.lua'):format(here, name)
    if name:match('^[%w_]+$') and fio.path.exists(layout) then
        for setting, value in pairs(dofile(layout)) do
            given[setting] = given[setting] or value
        end
    end
    table.sort(left_out)
    return given, left_out
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

local function start(authkv, given, left_out, settings)
    -- Whoever loads this file may have called box.cfg before, for example to join a replica set.
    if type(box.cfg) == 'function' then
        authkv.prepare(given)
    end
    -- iproto listens only after the schema and the rights are set.
    box.cfg({
        memtx_dir = settings.data_dir,
        wal_dir = settings.data_dir,
        vinyl_dir = settings.data_dir,
        memtx_memory = tonumber(settings.memtx_memory),
        memtx_max_tuple_size = tonumber(settings.memtx_max_tuple_size),
        wal_mode = settings.wal_mode,
        wal_dir_rescan_delay = tonumber(settings.wal_dir_rescan_delay),
        checkpoint_interval = tonumber(settings.checkpoint_interval),
        checkpoint_count = tonumber(settings.checkpoint_count),
        checkpoint_wal_threshold = tonumber(settings.checkpoint_wal_threshold),
        force_recovery = settings.force_recovery == 'true',
        read_only = settings.read_only == 'true',
        log = settings.log ~= '' and settings.log or nil,
        log_level = tonumber(settings.log_level),
        log_format = settings.log_format,
    })
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
    local started = authkv.start(given)
    -- Before anything else can fail.
    if started.admin_password ~= nil then
        print('The user admin was made. Its password, shown only this once: ' .. started.admin_password)
        io.stdout:flush()
    end
    box.ctl.on_shutdown(authkv.stop)
    if box.ctl.set_on_shutdown_timeout ~= nil then
        box.ctl.set_on_shutdown_timeout(tonumber(settings.shutdown_timeout) + 2)
    end
    if settings.iproto_listen ~= '' then
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
local given, left_out = given_settings()
local checked, settings = pcall(authkv.check_settings, given)
if not checked then
    fail(settings)
end
local done, started = pcall(start, authkv, given, left_out, settings)
if not done then
    fail(started)
end
greet(settings, started)
