-- Start, stop, restart: which settings are in force, and what an instance leaves to the next.

local fiber = require('fiber')
local fio = require('fio')
local log = require('log')

local copies = require('authkv.copies')
local follow = require('authkv.follow')
local health = require('authkv.health')
local manifests = require('authkv.manifest')
local native = require('authkv.native')
local rock = require('authkv.rock')
local schema = require('authkv.schema')

-- Settings that init.lua uses before it starts authkv.
local OF_THE_PROCESS = {
    LAYOUT = true, IPROTO_LISTEN = true, CONSOLE_LISTEN = true, READ_ONLY = true, MEMTX_MEMORY = true,
    WAL_MODE = true, WAL_DIR_RESCAN_DELAY = true, CHECKPOINT_INTERVAL = true, CHECKPOINT_COUNT = true,
    CHECKPOINT_WAL_THRESHOLD = true, FORCE_RECOVERY = true,
    LOG = true, LOG_LEVEL = true,
}

-- Sends an empty table as a map, not as an array.
local function map(pairs_)
    return next(pairs_) == nil and setmetatable({}, {__serialize = 'map'}) or pairs_
end

-- The settings as strings: in Lua, numbers and booleans may be written without quotes.
local function texts(given)
    local all = {}
    for name, value in pairs(given) do
        all[tostring(name)] = tostring(value)
    end
    return all
end

local function copy(from)
    local to = {}
    for name, value in pairs(from) do
        to[name] = value
    end
    return to
end

-- What the loaded library tells: `build`, its identifier; `runs`, whether it has an instance; `data_gone`, whether the
-- files of the data are gone; `health`, that of the instance. An older build tells less. Does not yield.
local function loaded()
    local ok, about = pcall(function()
        return box.func['authkv.start']:call({})
    end)
    return ok and about or {}
end

-- Whether the library in the file system is of this build. Otherwise, and if nobody can say, false. Yields.
local function is_on_disk(build)
    local PAGE = 4096
    -- Tarantool searches for the library in this way too.
    local path = build and package.search('authkv')
    local file = path and fio.open(path, {'O_RDONLY'})
    if not file then
        return false
    end
    local head = file:pread(PAGE, 0)
    file:close()
    return head ~= nil and head:hex():find(build, 1, true) ~= nil
end

local function is_of_http(name)
    return name:match('^HTTP_') ~= nil
end

-- The sorted names of the settings that differ. A missing setting has its default.
local function differences(before, after)
    before, after = texts(before), texts(after)
    local names = {}
    for _, row in ipairs(native.settings()) do
        local name, default = row[1], row[2]
        local function value(settings)
            local text = settings[name]
            return text ~= nil and text ~= '' and text or default
        end
        -- It only matters until the user admin exists.
        if name ~= 'ADMIN_PASSWORD' and value(before) ~= value(after) then
            table.insert(names, name)
        end
    end
    table.sort(names)
    return names
end

-- Checks settings by name and returns what a start needs to know of them before box.cfg. Raises what is wrong.
local function check_settings(given)
    local settings, err = native.check_settings(texts(given))
    if settings == nil then
        error(err, 0)
    end
    if settings.rock_listen ~= '' then
        rock.module()
    end
    return settings
end

-- How a start that fails tells the generated password, which nobody could find out later.
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
    local lines, err = native.prepare(texts(given))
    if lines == nil then
        error(err, 0)
    end
    for _, line in ipairs(lines) do
        log.warn('authkv: %s', line)
    end
end

-- `call` calls a procedure, and returns nil and the error if authkv refuses the call.
local function new(call)
    -- Local variables, because the console would print a table, and the settings hold passwords. `wanted`: the settings
    -- given last, which a restart uses. `in_force`: those of the running instance, or nil. `http`: the addresses it
    -- listens on; `admin`: those of the admin listener, or nil.
    local wanted, in_force, http, admin = nil, nil, {}, nil
    -- `legacy`: what the running instance leaves to its successor. `starting`: an instance is being started.
    -- `resuming`: a successor is being started. `given_up`: that has failed, and the loaded image has no instance.
    local legacy, starting, resuming, given_up
    local follower, followed

    -- Calls a procedure that starts something. Raises what is wrong, in words for the operator.
    local function launch(procedure, ...)
        local func = box.func['authkv.' .. procedure]
        if func == nil then
            error('authkv is not started', 0)
        end
        local arguments = {...}
        local ok, started = copies.load(function()
            return func:call(arguments)
        end)
        if not ok then
            error(started.message, 0)
        end
        legacy, started.legacy = started.legacy, nil
        return started
    end

    local function stop_following()
        if follower ~= nil then
            pcall(follower.cancel, follower)
            follower = nil
        end
    end

    -- Follows as the settings say. A fiber that already does so goes on.
    local function follow_as(settings)
        local whom = settings.follow .. '\0' .. settings.follower_password
        if whom ~= followed then
            stop_following()
        end
        followed = whom
        if settings.follow ~= '' and follower == nil then
            follower = follow.start(settings.follow, settings.follower_password)
        end
    end

    -- Stops the instance. Returns whether all requests were finished, or nil and the error.
    local function finish()
        if legacy ~= nil then
            legacy.listeners, legacy.admin = {}, {}
        end
        health.unregister()
        local stopped, err = call('stop')
        legacy, in_force, http, admin = nil, nil, {}, nil
        return stopped, err
    end

    -- Upgrades the schema and starts an instance. Raises what is wrong; then nothing new runs.
    local function begin(given)
        local settings = check_settings(given)
        schema.upgrade(settings)
        local all = texts(given)
        all.LOG_FORMAT = all.LOG_FORMAT or box.cfg.log_format
        local takes_over = legacy ~= nil
        if takes_over and settings.follow ~= '' then
            legacy.heard_ago = follow.heard_ago()
        end
        local is_restored = manifests.is_restored(box.cfg.memtx_dir)
        local started = launch('start', map(all), legacy or box.NULL, is_restored)
        if is_restored then
            manifests.note_restored(box.cfg.memtx_dir)
        end
        wanted, in_force = given, given
        local ok, err = pcall(rock.serve, settings, started.http)
        if not ok then
            -- A successor goes on without HTTP, because the older instance has ended.
            if not takes_over then
                finish()
            end
            local password = started.admin_password
            error(password ~= nil and ('%s. %s'):format(err, shown(password)) or err, 0)
        end
        http, admin = started.http, started.admin
        follow_as(settings)
        health.register(loaded)
        return started
    end

    -- Serves HTTP as these settings say. Returns the addresses, and those of the admin listener.
    local function serve_http(all)
        local settings = check_settings(all)
        if settings.rock_listen == '' then
            rock.stop()
        end
        local started = launch('http_start', map(texts(all)))
        rock.serve(settings, started.http)
        return started.http, started.admin
    end

    -- Replaces the HTTP server as these settings say. Raises what is wrong; then the old one goes on.
    local function change_http(all)
        local before = in_force or wanted or {}
        local by_rock = check_settings(before).rock_listen ~= '' or check_settings(all).rock_listen ~= ''
        local ok, addresses, of_admin = pcall(serve_http, all)
        if not ok then
            -- A failed start of the library's server changes nothing, but the rock's may have stopped.
            if by_rock then
                pcall(serve_http, before)
            end
            error(addresses, 0)
        end
        in_force, http, admin = all, addresses, of_admin
        return addresses
    end

    -- `start` while an instance runs: settings of HTTP change at once, others need a restart.
    local function start_again(given)
        local applied, waiting = {}, {}
        for _, name in ipairs(differences(in_force, given)) do
            table.insert(is_of_http(name) and applied or waiting, name)
        end
        if #applied > 0 then
            local all = {}
            for name, value in pairs(in_force) do
                all[name] = not is_of_http(name) and value or nil
            end
            for name, value in pairs(given) do
                all[name] = is_of_http(name) and value or all[name]
            end
            change_http(all)
            log.info('authkv runs already: %s changed', table.concat(applied, ', '))
        end
        wanted = given
        for _, name in ipairs(waiting) do
            log.warn('authkv runs already: %s takes effect with %s', name,
                OF_THE_PROCESS[name] and 'the next start of the process' or 'authkv.restart()')
        end
        if #applied + #waiting == 0 then
            log.info('authkv runs already, with these settings')
        end
        return {http = copy(http), admin = admin, already_started = true, applied = applied, needs_restart = waiting}
    end

    local function wait_for_others()
        while starting or resuming do
            fiber.sleep(0.01)
        end
    end

    -- Upgrades the schema and starts serving. `given` are the settings by name, as for check_settings. Returns the
    -- addresses of HTTP, and the password if one was generated for a new admin. If an instance runs already, applies
    -- what it can, and returns `already_started` and the names of settings in `applied` and `needs_restart`. Raises
    -- what is wrong.
    local function start(given)
        given = copy(given or {})
        check_settings(given)
        wait_for_others()
        if in_force ~= nil and not given_up then
            return start_again(given)
        end
        starting = true
        local ok, started = pcall(begin, given)
        starting = false
        if not ok then
            error(started, 0)
        end
        given_up = false
        return started
    end

    -- Finishes running requests and stops serving. Returns whether all were finished within the limit. Does nothing if
    -- authkv is stopped already.
    local function stop()
        if in_force ~= nil then
            -- First, because the servers of the rock finish their requests before the instance stops.
            call('stop', true)
        end
        stop_following()
        local finished = rock.stop()
        if in_force == nil and wanted ~= nil then
            return finished
        end
        local stopped, err = finish()
        return finished and stopped, err
    end

    -- Starts a successor.
    local function resume_now()
        local ok, started = pcall(begin, wanted)
        resuming, given_up = false, not ok and not loaded().runs
        return ok, started
    end

    -- Starts an instance with the settings given last. Loads the library first if the file has another build. The old
    -- instance serves until the new one does, and then finishes its requests, so no request is lost.
    local function restart()
        if wanted == nil then
            error('authkv is not started', 0)
        end
        -- Two restarts at a time would take over from the same instance, and one would never end.
        wait_for_others()
        local about = loaded()
        if about.data_gone then
            error('the files of the data are gone: bring them back and start the process again', 0)
        end
        resuming = true
        if not is_on_disk(about.build) then
            local reloaded, err = copies.load(function()
                box.schema.func.reload('authkv')
            end)
            if not reloaded then
                resuming = false
                error(err, 0)
            end
        end
        local ok, started = resume_now()
        if not ok then
            error(started, 0)
        end
        return started
    end

    -- Called by the library: after box.schema.func.reload the new image has no instance. Returns whether one is being
    -- started.
    local function resume()
        if resuming then
            return true
        end
        if legacy == nil or given_up then
            return false
        end
        resuming = true
        fiber.new(function()
            local ok, err = resume_now()
            if not ok then
                log.error('authkv: cannot go on after the reload: %s; mend it and call authkv.restart()', err)
            end
        end)
        return true
    end

    -- Finishes running requests and stops serving HTTP. Returns whether all were finished within the limit.
    local function http_stop()
        local finished = rock.stop()
        -- First, because the descriptors are closed later, and their numbers reused.
        if legacy ~= nil then
            legacy.listeners = {}
        end
        http = {}
        local stopped, err = call('http_stop')
        return finished and stopped, err
    end

    -- Changes settings whose names begin with HTTP_, and reads certificates again. Connections end after their next
    -- answer, so no request is lost. Returns the addresses.
    local function http_reload(changes)
        local all = copy(in_force or wanted or {})
        local next_wanted = copy(wanted or {})
        for name, value in pairs(changes or {}) do
            if type(name) ~= 'string' or not is_of_http(name) then
                error('authkv.http.reload takes settings whose names begin with HTTP_, not ' .. tostring(name), 2)
            end
            all[name], next_wanted[name] = value, value
        end
        local addresses = change_http(all)
        wanted = next_wanted
        return addresses
    end

    -- The health of the instance, with what belongs to it. Does not yield.
    local function status()
        return health.status(native.version(), loaded(), {http = http, admin = admin})
    end

    return {
        check_settings = check_settings,
        prepare = prepare,
        status = status,
        start = start,
        stop = stop,
        restart = restart,
        resume = resume,
        http = {
            stop = http_stop,
            -- Serves HTTP with the settings of the start and later changes. Returns the addresses.
            start = function()
                return http_reload({})
            end,
            reload = http_reload,
        },
    }
end

return {new = new}
