-- The role roles.authkv of Tarantool 3: authkv in an instance whose configuration is YAML. The settings in
-- `roles_cfg: {roles.authkv: {…}}` have the names that a file of AUTHKV_CONFIG has. See documentation/tarantool3.md.
--
-- Tarantool applies roles before the instance may write, and waits for them. So a fiber starts authkv, once the
-- instance may write or has a schema by replication.
--
-- --- #tarantool.metadata.v1
-- fail_if: 'tarantool_version < 3.0.0'
-- ...

local fiber = require('fiber')
local log = require('log')

local loads, authkv = pcall(require, 'authkv')
if not loads or type(authkv) ~= 'table' then
    local why = loads and 'it did not load' or tostring(authkv)
    error('roles.authkv needs the library authkv.so in a directory of package.cpath: ' .. why, 0)
end
local mounts = require('authkv.mount')
local native = require('authkv.native')
local process = require('authkv.process')
local schema = require('authkv.schema')
local sources = require('authkv.sources')

local NAME = 'roles.authkv'

-- Seconds between two tries to start, and between two looks whether a start is possible.
local RETRY, PAUSE = 10, 0.1

-- Settings that are Tarantool's own here, and where they are in its YAML.
local ELSEWHERE = {
    DATA_DIR = 'snapshot.dir and wal.dir',
    LAYOUT = 'a set of values to write out, because layouts are for init.lua',
    CONFIG = "this section",
    IPROTO_LISTEN = 'iproto.listen',
    CONSOLE_LISTEN = 'console.socket',
    READ_ONLY = 'database.mode, or replication.failover',
    REPLICATION = "replicasets.*.instances, with each instance's iproto.listen or iproto.advertise",
    REPLICATION_TIMEOUT = 'replication.timeout',
    ELECTION_MODE = 'replication.failover: election, and replication.election_mode',
    INSTANCE_NAME = 'the name of the instance in groups.*.replicasets.*.instances',
    MEMTX_MEMORY = 'memtx.memory',
    MEMTX_MAX_TUPLE_SIZE = 'memtx.max_tuple_size',
    WAL_MODE = 'wal.mode',
    WAL_DIR_RESCAN_DELAY = 'wal.dir_rescan_delay',
    CHECKPOINT_INTERVAL = 'snapshot.by.interval',
    CHECKPOINT_COUNT = 'snapshot.count',
    CHECKPOINT_WAL_THRESHOLD = 'snapshot.by.wal_size',
    FORCE_RECOVERY = 'the option --force-recovery of tarantool',
    LOG = 'log.to',
    LOG_LEVEL = 'log.level',
    LOG_FORMAT = 'log.format',
}

-- The Tarantool users that settings make.
local USERS = {
    CLIENT_PASSWORD = 'authkv', FOLLOWER_PASSWORD = 'authkv_follower', REPLICATION_PASSWORD = 'authkv_replication',
}

-- `wanted`: the settings to serve with, or nil; `from`: where each comes from. `own`: the settings that Tarantool's
-- configuration gave at the start. `runs`: authkv serves. `starter`: the fiber that starts it. `problem`: why it does
-- not run. `mounted`: the server of the `http` rock that has its routes.
local wanted, from, own, runs, starter, problem, mounted = nil, {}, nil, false, nil, nil, nil

-- Tarantool's configuration, or nil if the role is used without it.
local function configuration()
    local config = package.loaded.config
    return type(config) == 'table' and type(config.get) == 'function' and config or nil
end

-- Shows an alert in config:info(), or takes it away if there is no message. Such alerts came with 3.3.
local alerts
local function alert(key, message)
    local config = configuration()
    if alerts == nil and config ~= nil and config.new_alerts_namespace ~= nil then
        alerts = config:new_alerts_namespace(NAME)
    end
    if message ~= nil and alerts ~= nil then
        -- It goes into the log too.
        alerts:set(key, {message = 'authkv: ' .. message})
    elseif message ~= nil then
        log.warn('authkv: %s', message)
    elseif alerts ~= nil then
        alerts:unset(key)
    end
end

-- What Tarantool's configuration says, as settings.
local function of_tarantool()
    local options = type(box.cfg) == 'table' and box.cfg or {}
    return {
        DATA_DIR = options.memtx_dir,
        MEMTX_MEMORY = options.memtx_memory and tostring(options.memtx_memory),
        MEMTX_MAX_TUPLE_SIZE = options.memtx_max_tuple_size and tostring(options.memtx_max_tuple_size),
        INSTANCE_NAME = type(box.cfg) == 'table' and box.info.name or nil,
    }
end

-- Raises what is wrong with where authkv is mounted.
local function check_mount(mount)
    local USAGE = 'mount should be {server: NAME, prefix: /PATH}, both optional'
    if type(mount) ~= 'table' then
        error(USAGE, 0)
    end
    for name, value in pairs(mount) do
        if name ~= 'server' and name ~= 'prefix' or type(value) ~= 'string' then
            error(USAGE, 0)
        end
    end
    if not pcall(require, 'roles.httpd') then
        error('mount needs the role roles.httpd of the http rock, 1.6 or newer: it cannot be loaded', 0)
    end
end

-- The settings of a section, as texts by name, and where each comes from. Raises what is wrong with their names.
local function read(section)
    if section ~= nil and type(section) ~= 'table' then
        error('the section should be a map of settings, not a ' .. type(section), 0)
    end
    local given = {}
    for name, value in pairs(section or {}) do
        if type(name) ~= 'string' then
            error('the section should be a map of settings, not a list', 0)
        elseif ELSEWHERE[name] ~= nil then
            error(('%s is no setting of the role: in the YAML of Tarantool it is %s'):format(name, ELSEWHERE[name]), 0)
        elseif name == 'mount' then
            check_mount(value)
        else
            given[name] = value
        end
    end
    local settings, origin = sources.of_table(given, NAME)
    for name, value in pairs(runs and own or of_tarantool()) do
        settings[name], origin[name] = value, 'box.cfg'
    end
    return settings, origin
end

-- An error of the library, which names settings as the environment does, and all that there are.
local function plain(err)
    local text = tostring(err):gsub('AUTHKV_{(.-)}', function(all)
        local names = {'mount'}
        for name in all:gmatch('[%w_]+') do
            table.insert(names, ELSEWHERE[name] == nil and name or nil)
        end
        return table.concat(names, ', ')
    end)
    return (text:gsub('AUTHKV_', ''))
end

-- Raises an error if the configuration of Tarantool has users that are authkv's to make. Tarantool gives a user of the
-- configuration, at each reload, what the configuration says, so guest would have its rights again.
local function check_users(settings)
    local config = configuration()
    local users = config ~= nil and config:get('credentials.users') or {}
    if users.guest ~= nil then
        -- It has them by now.
        if runs and not box.info.ro then
            schema.shut_out_guest()
        end
        error('credentials.users has guest, who would get rights at each reload: authkv takes them all away, because '
            .. 'whoever reaches iproto is guest. Remove guest there', 0)
    end
    for setting, name in pairs(USERS) do
        if settings[setting] ~= nil and users[name] ~= nil then
            error(('%s and credentials.users both make the user %s: remove one of them'):format(setting, name), 0)
        end
    end
end

-- Checks a section. Starts nothing. Raises what is wrong, with what is allowed.
local function validate(section)
    local ok, settings = pcall(read, section)
    if not ok then
        error(plain(settings), 0)
    end
    local valid, err = pcall(process.check_settings, settings)
    if not valid then
        error(plain(err), 0)
    end
    check_users(settings)
end

local function unmount()
    if mounted ~= nil then
        mounts.unmount(mounted.httpd, mounted.prefix)
        mounted = nil
    end
end

-- Puts the routes on the server that the section names, and takes them off another one.
local function mount(section)
    local asked = section ~= nil and section.mount or nil
    local httpd, prefix
    if asked ~= nil then
        local server = asked.server or 'default'
        httpd, prefix = require('roles.httpd').get_server(server), asked.prefix
        if httpd == nil then
            error(('mount: there is no server %s: roles should have roles.httpd before %s, and roles_cfg its server')
                :format(server, NAME), 0)
        end
    end
    if mounted ~= nil and (mounted.httpd ~= httpd or mounted.prefix ~= prefix) then
        unmount()
    end
    if httpd ~= nil then
        mounts.mount(httpd, {prefix = prefix})
        mounted = {httpd = httpd, prefix = prefix}
    end
end

-- Starts authkv, or changes what can change while it runs.
local function serve(settings, origin)
    local started = authkv.start(settings, {from = origin, by_role = true, begun = function()
        alert('restart')
    end})
    if started.admin_password ~= nil then
        log.warn('authkv: %s', process.shown(started.admin_password))
    end
    local waits = started.needs_restart or {}
    alert('restart', #waits > 0 and table.concat(waits, ', ') .. ': takes effect with authkv.restart()' or nil)
end

-- Whether a start does not have to wait: the instance may write, or has the schema.
local function may_start()
    return not box.info.ro or schema.version() >= schema.VERSION
end

local function try_to_start()
    if not may_start() then
        problem = 'it waits for the leader, or for a schema by replication'
        return fiber.sleep(PAUSE)
    end
    own = of_tarantool()
    process.allow_for_stop(process.check_settings(wanted))
    local tried = wanted
    local ok, err = pcall(serve, wanted, from)
    if ok then
        runs, problem = true, nil
        alert('start')
        -- What was applied meanwhile.
        if wanted ~= nil and wanted ~= tried then
            serve(wanted, from)
        end
    elseif wanted ~= nil then
        problem = plain(err)
        alert('start', ('cannot start: %s; it is tried again'):format(problem))
        local again = fiber.clock() + RETRY
        while wanted == tried and fiber.clock() < again do
            fiber.sleep(PAUSE)
        end
    end
end

local function start_in_background()
    if starter ~= nil then
        return
    end
    starter = fiber.new(function()
        while wanted ~= nil and not runs do
            local ok, err = pcall(try_to_start)
            if not ok then
                log.error('authkv: %s', plain(err))
            end
        end
        starter = nil
    end)
    starter:name('authkv-starter')
end

-- Applies a section. Returns before authkv serves, if it does not run yet. Raises what is wrong; then it goes on as
-- before.
local function apply(section)
    validate(section)
    local settings, origin = read(section)
    mount(section)
    if runs then
        local ok, err = pcall(serve, settings, origin)
        if not ok then
            error(plain(err), 0)
        end
    end
    wanted, from = settings, origin
    if not runs then
        problem = problem or 'it starts'
        start_in_background()
    end
end

-- Stops authkv, or gives up its start. Does nothing if it is stopped.
local function stop()
    wanted = nil
    while starter ~= nil do
        -- A start that waits ends by that.
        pcall(authkv.stop)
        fiber.sleep(PAUSE)
    end
    if runs then
        authkv.stop()
        runs = false
    end
    unmount()
    alert('start')
    alert('restart')
    problem = nil
end

-- Called by Tarantool when the instance begins or ceases to write. A new leader does what the configuration says, and
-- so gives guest its rights.
local function on_event()
    if runs and not box.info.ro and schema.guest_has_rights() then
        log.warn('authkv: the user guest had rights again: they are taken away')
        schema.shut_out_guest()
    end
end

-- Whether authkv serves as it should: true, or false and why not. Does not yield.
local function health_check()
    local status = box.session.su('admin', authkv.status)
    if not runs or status.started == false then
        return false, 'authkv does not run: ' .. (problem or 'it was stopped')
    end
    local reasons = {}
    for _, check in ipairs(status.checks) do
        if not check.ok then
            table.insert(reasons, ('%s: %s'):format(check.name, check.reason))
        end
    end
    if box.session.su('admin', schema.guest_has_rights) then
        table.insert(reasons, 'guest: the user guest has rights')
    end
    if #reasons > 0 then
        return false, table.concat(reasons, '; ')
    end
    return true
end

-- For the console, as init.lua has it.
rawset(_G, 'authkv', rawget(_G, 'authkv') or authkv)

-- A library that is newer than this file may know more settings of the process.
for _, row in ipairs(native.settings()) do
    if row[4] == 'process' and ELSEWHERE[row[1]] == nil and USERS[row[1]] == nil then
        ELSEWHERE[row[1]] = 'a setting of its own'
    end
end

return {
    _VERSION = authkv.version(), validate = validate, apply = apply, stop = stop, on_event = on_event,
    health_check = health_check,
}
