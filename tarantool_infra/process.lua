-- What comes before an instance: the check of settings, what has to hold before box.cfg, and the call of box.cfg.

local log = require('log')

local configuration = require('authkv.configuration')
local manifests = require('authkv.manifest')
local native = require('authkv.native')
local replication = require('authkv.replication')
local rock = require('authkv.rock')

-- All of them. Their names are those of the settings in lower case.
local OPTIONS = {
    'memtx_memory', 'memtx_max_tuple_size', 'wal_mode', 'wal_dir_rescan_delay', 'checkpoint_interval',
    'checkpoint_count', 'checkpoint_wal_threshold', 'force_recovery', 'read_only', 'log', 'log_level', 'log_format',
}
local BOOLEANS = {['true'] = true, ['false'] = false}

-- The value of an option. `settings` are those of authkv.check_settings.
local function value(settings, option)
    local text = settings[option]
    local boolean = BOOLEANS[text]
    if boolean ~= nil then
        return boolean
    end
    return text ~= '' and (tonumber(text) or text) or nil
end

-- Tarantool gives authkv.stop this long at the end of the process.
local function allow_for_stop(settings)
    if box.ctl.set_on_shutdown_timeout ~= nil then
        box.ctl.set_on_shutdown_timeout(tonumber(settings.shutdown_timeout) + 2)
    end
end

-- Checks settings by name and returns what a start needs to know of them before box.cfg. Raises what is wrong.
local function check_settings(given)
    local settings, err = native.check_settings(configuration.texts(given))
    if settings == nil then
        error(err, 0)
    end
    if settings.rock_listen ~= '' then
        rock.module()
    end
    return settings
end

-- How the operator is told the generated password.
local function shown(password)
    return 'The user admin was made. Its password, shown only this once: ' .. password
end

-- What has to hold before box.cfg: checks the files of a restored back-up, makes the directory, cuts off the torn end
-- of the log of writes, checks limits. `given` are the settings by name. Raises why a start is refused.
local function prepare(given)
    if type(box.cfg) ~= 'function' then
        error('authkv.prepare comes before box.cfg', 2)
    end
    given = given or {}
    manifests.is_restored(check_settings(given).data_dir)
    local lines, err = native.prepare(configuration.texts(given))
    if lines == nil then
        error(err, 0)
    end
    for _, line in ipairs(lines) do
        log.warn('authkv: %s', line)
    end
end

-- The first box.cfg. iproto listens only after the schema and the rights are set, but for an instance of a replica set:
-- see replication.lua.
local function configure(settings)
    local options = {
        memtx_dir = settings.data_dir, wal_dir = settings.data_dir, vinyl_dir = settings.data_dir,
    }
    for _, option in ipairs(OPTIONS) do
        options[option] = value(settings, option)
    end
    if settings.replication ~= '' then
        replication.configure(settings, options)
    else
        box.cfg(options)
    end
    allow_for_stop(settings)
end

-- Changes the options with these names of settings. Returns a function that changes them back. Raises what is wrong;
-- then nothing has changed.
local function change(names, settings)
    local before, after = {}, {}
    for _, name in ipairs(names) do
        local option = name:lower()
        before[option], after[option] = box.cfg[option], value(settings, option)
    end
    local function set(options)
        if next(options) ~= nil then
            box.cfg(options)
        end
    end
    local ok, err = pcall(set, after)
    if not ok then
        pcall(set, before)
        error(tostring(err), 0)
    end
    return function()
        set(before)
    end
end

return {
    check_settings = check_settings, prepare = prepare, shown = shown,
    configure = configure, change = change, allow_for_stop = allow_for_stop,
}
