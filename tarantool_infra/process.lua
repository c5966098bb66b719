-- box.cfg, as init.lua calls it: the options that are settings.

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

-- The first box.cfg. iproto listens only after the schema and the rights are set.
local function configure(settings)
    local options = {
        memtx_dir = settings.data_dir, wal_dir = settings.data_dir, vinyl_dir = settings.data_dir,
    }
    for _, option in ipairs(OPTIONS) do
        options[option] = value(settings, option)
    end
    box.cfg(options)
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

return {configure = configure, change = change, allow_for_stop = allow_for_stop}
