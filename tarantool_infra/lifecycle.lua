-- Start, stop, restart: which settings are in force, and what an instance leaves to the next.

local fiber = require('fiber')
local log = require('log')

local configuration = require('authkv.configuration')
local copies = require('authkv.copies')
local follow = require('authkv.follow')
local health = require('authkv.health')
local hop = require('authkv.hop')
local manifests = require('authkv.manifest')
local metrics = require('authkv.metrics')
local native = require('authkv.native')
local process = require('authkv.process')
local replicated = require('authkv.replicated')
local replication = require('authkv.replication')
local rock = require('authkv.rock')
local schema = require('authkv.schema')
local sources = require('authkv.sources')

local overlaid = configuration.overlaid
local check_settings = process.check_settings

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

-- `call` calls a procedure, and returns nil and the error if authkv refuses the call.
local function new(call)
    -- Local variables, because the console would print a table, and the settings hold passwords. `plan`: the settings
    -- given last, which a restart uses: `base`, those of the start or of its sources; `from`, where each comes from;
    -- `calls`, those of reloads, which go over them. `in_force`: those of the running instance, or nil; `origins`:
    -- where each comes from; `kept`: those in force last. `http`: the addresses it listens on; `admin`: those of the
    -- admin listener, or nil.
    local plan, in_force, origins, kept, http, admin = nil, nil, {}, nil, {}, nil
    -- What the caller of the start has told, see `start`. `host`: the same, if box.cfg is authkv's to change.
    local caller, host
    -- `legacy`: what the running instance leaves to its successor. `starting`: an instance is being started.
    -- `resuming`: a successor is being started. `given_up`: that has failed, and the loaded image has no instance.
    -- `stops`: how many stops have begun, so that a reload sees one that is not finished.
    local legacy, starting, resuming, given_up
    local stops = 0

    -- Calls a procedure. Raises what is wrong, in words for the operator; `missing`, if the data does not have the
    -- procedure.
    local function perform(missing, procedure, ...)
        local func = box.func['authkv.' .. procedure]
        if func == nil then
            error(missing, 0)
        end
        local arguments = {...}
        local ok, result = copies.load(function()
            return func:call(arguments)
        end)
        if not ok then
            error(result.message, 0)
        end
        return result
    end

    -- Calls a procedure that starts something. Raises what is wrong, in words for the operator.
    local function launch(procedure, ...)
        local started = perform('authkv is not started', procedure, ...)
        legacy, started.legacy = started.legacy, nil
        return started
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

    -- The settings that are to be in force.
    local function wanted()
        return plan and overlaid(plan.base, plan.calls)
    end

    -- What the library gets. The format of the log is that of box.cfg, whoever has called it.
    local function for_library(settings)
        return overlaid({LOG_FORMAT = box.cfg.log_format}, settings)
    end

    -- Notes which settings are in force, where they come from, and which are to be.
    local function note(settings, next_plan)
        local goal = overlaid(next_plan.base, next_plan.calls)
        for name in pairs(settings) do
            if settings[name] == goal[name] then
                origins[name] = next_plan.calls[name] and 'call' or next_plan.from[name]
            end
        end
        plan, in_force, kept = next_plan, settings, settings
    end

    -- Upgrades the schema and starts an instance with these settings, which are those of a plan or most of them.
    -- Raises what is wrong; then nothing new runs.
    local function begin(given, next_plan)
        local settings = check_settings(given)
        local stops_before = stops
        local function is_over()
            return stops ~= stops_before
        end
        schema.upgrade(settings, is_over)
        replication.open(settings)
        schema.synchronize(settings, is_over)
        hop.start(settings)
        local takes_over = legacy ~= nil
        if takes_over and settings.follow ~= '' then
            legacy.heard_ago = follow.heard_ago()
        end
        local is_restored = manifests.is_restored(box.cfg.memtx_dir)
        local started = launch('start', for_library(given), legacy or box.NULL, is_restored)
        if is_restored then
            manifests.note_restored(box.cfg.memtx_dir)
        end
        note(given, next_plan)
        local ok, err = pcall(rock.serve, settings, started.http)
        if not ok then
            -- A successor goes on without HTTP, because the older instance has ended.
            if not takes_over then
                finish()
            end
            local password = started.admin_password
            error(password ~= nil and ('%s. %s'):format(err, process.shown(password)) or err, 0)
        end
        http, admin = started.http, started.admin
        follow.start(settings)
        if settings.kv == 'true' then
            replicated.start()
        end
        -- Does what a start does once, whenever this instance begins to lead.
        replication.watch(function()
            schema.upgrade(settings)
            call('promoted')
            schema.synchronize(settings)
        end, function()
            call('promoted', false)
        end)
        health.register(loaded, caller and caller.by_role)
        metrics.register()
        if caller ~= nil and caller.begun ~= nil then
            caller.begun()
        end
        return started
    end

    -- Serves HTTP as these settings say. Returns the addresses, and those of the admin listener.
    local function serve_http(all)
        local settings = check_settings(all)
        if settings.rock_listen == '' then
            rock.stop()
        end
        local started = launch('http_start', overlaid(all))
        rock.serve(settings, started.http)
        return started.http, started.admin
    end

    -- Replaces the HTTP server, which runs with the settings `before`, as `all` says. Raises what is wrong; then
    -- the old one goes on.
    local function change_http(before, all)
        local by_rock = check_settings(before).rock_listen ~= '' or check_settings(all).rock_listen ~= ''
        local ok, addresses, of_admin = pcall(serve_http, all)
        if not ok then
            -- A failed start of the library's server changes nothing, but the rock's may have stopped.
            if by_rock then
                pcall(serve_http, before)
            end
            error(addresses, 0)
        end
        http, admin = addresses, of_admin
    end

    -- The settings that change at run time, apart from those of HTTP and of Tarantool.
    local function change_live(all)
        perform('this data is older than this authkv: start the leader with it first', 'reload', for_library(all))
        rock.limit(check_settings(all))
    end

    local function check(settings, from)
        local ok, result = pcall(check_settings, settings)
        if not ok then
            error(sources.explain(result, from), 0)
        end
        return result
    end

    -- Applies what can change at run time, and plans the rest. `renews_http`: with a new HTTP server in any case.
    -- Returns the names of the settings as configuration.due does. Raises what is wrong; then nothing has changed.
    local function apply(next_plan, renews_http)
        local stops_before = stops
        local function check_running(before)
            if in_force ~= before or stops ~= stops_before then
                error('authkv was stopped during the reload', 0)
            end
        end
        local goal = overlaid(next_plan.base, next_plan.calls)
        check(goal, next_plan.from)
        local before = in_force
        local due = configuration.due(before, goal, host ~= nil)
        local all = configuration.changed(before, goal, due.now)
        local settings = check(all, next_plan.from)
        local undo = process.change(due.options, settings)
        local ok, err = pcall(function()
            if #due.live > 0 then
                change_live(all)
                check_running(before)
            end
            if #due.http > 0 or renews_http then
                change_http(before, all)
                check_running(before)
            end
        end)
        if not ok then
            local undone, why = pcall(undo)
            if not undone then
                log.error('authkv: the options of box.cfg were not changed back: %s', why)
            end
            if #due.live > 0 and in_force == before then
                pcall(change_live, before)
            end
            error(err, 0)
        end
        if host ~= nil then
            process.allow_for_stop(settings)
        end
        note(all, next_plan)
        return due
    end

    -- `start` while an instance runs: what can change does so at once.
    local function start_again(given, from)
        local due = apply({base = given, from = from, calls = {}}, false)
        if #due.now > 0 then
            log.info('authkv runs already: %s changed', table.concat(due.now, ', '))
        end
        local waiting = configuration.waiting(due, ' runs already')
        if #due.now + #waiting == 0 then
            log.info('authkv runs already, with these settings')
        end
        return {http = copy(http), admin = admin, already_started = true, applied = due.now, needs_restart = waiting}
    end

    local function wait_for_others()
        while starting or resuming do
            fiber.sleep(0.01)
        end
    end

    -- Runs alone. Raises what `act` raises.
    local function alone(act, ...)
        wait_for_others()
        starting = true
        local ok, result = pcall(act, ...)
        starting = false
        if not ok then
            error(result, 0)
        end
        return result
    end

    -- Upgrades the schema and starts serving. `given` are the settings by name, as for check_settings. The caller may
    -- tell more: `from`, where each comes from; `read`, which reads them again, if box.cfg is authkv's to change;
    -- `begun`, called after each start and restart; `by_role`, see health.lua. Returns the addresses of HTTP, and the
    -- password if one was generated for a new admin. If an instance runs already, applies what it can, and returns
    -- `already_started` and the names of settings in `applied` and `needs_restart`. Raises what is wrong.
    local function start(given, by)
        given = configuration.texts(given or {})
        check_settings(given)
        return alone(function()
            local from = by and by.from or {}
            if in_force ~= nil and not given_up then
                return start_again(given, from)
            end
            origins, caller = {}, by
            local started = begin(given, {base = given, from = from, calls = {}})
            host, given_up = by and by.read and by, false
            return started
        end)
    end

    -- Finishes running requests and stops serving. Returns whether all were finished within the limit. Does nothing if
    -- authkv is stopped already.
    local function stop()
        stops = stops + 1
        if in_force ~= nil then
            -- First, because the servers of the rock finish their requests before the instance stops.
            call('stop', true)
        end
        follow.stop()
        replicated.stop()
        replication.stop_watching()
        local finished = rock.stop()
        if in_force == nil and plan ~= nil then
            return finished
        end
        local stopped, err = finish()
        -- Last, because requests on their way to the leader are finished too.
        hop.stop()
        return finished and stopped, err
    end

    -- Starts a successor.
    local function resume_now()
        local settings = configuration.without_process(kept, wanted(), host ~= nil)
        local ok, started = pcall(begin, settings, plan)
        resuming, given_up = false, not ok and not loaded().runs
        return ok, started
    end

    -- Starts an instance with the settings given last. Loads the library first if the file has another build. The old
    -- instance serves until the new one does, and then finishes its requests, so no request is lost.
    local function restart()
        if plan == nil then
            error('authkv is not started', 0)
        end
        -- Two restarts at a time would take over from the same instance, and one would never end.
        wait_for_others()
        local about = loaded()
        if about.data_gone then
            error('the files of the data are gone: bring them back and start the process again', 0)
        end
        resuming = true
        if not copies.is_on_disk(about.build) then
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

    -- The plan with these changes. Null takes back what an earlier call has changed.
    local function planned(base, changes)
        local calls = copy(base.calls)
        for name, value in pairs(changes) do
            calls[name] = configuration.text_of(name, value)
        end
        return {base = base.base, from = base.from, calls = calls}
    end

    -- Changes settings whose names begin with HTTP_, and reads certificates again. Connections end after their next
    -- answer, so no request is lost. Returns the addresses.
    local function http_reload(changes)
        for name in pairs(changes or {}) do
            if type(name) ~= 'string' or not configuration.is_of_http(name) then
                error('authkv.http.reload takes settings whose names begin with HTTP_, not ' .. tostring(name), 2)
            end
        end
        return alone(function()
            local next_plan = planned(plan or {base = {}, from = {}, calls = {}}, changes or {})
            if in_force == nil then
                -- The library says why it serves nothing.
                change_http({}, overlaid(next_plan.base, next_plan.calls))
            else
                apply(next_plan, true)
            end
            return copy(http)
        end)
    end

    -- Whether an HTTP server of these settings has certificates, which are read again.
    local function has_certificates(settings)
        return (settings.HTTP_TLS_CERT_FILE or '') ~= ''
    end

    local function reload_now(changes)
        if in_force == nil then
            error('authkv is not started', 0)
        end
        local base = plan
        if changes == nil and host ~= nil then
            local found = host.read()
            base = {base = found.settings, from = found.from, calls = plan.calls}
            for _, warning in ipairs(found.warnings) do
                log.warn('authkv: %s', warning)
            end
        end
        local due = apply(planned(base, changes or {}), changes == nil and has_certificates(in_force))
        if #due.now > 0 then
            log.info('authkv was reloaded: %s changed', table.concat(due.now, ', '))
        end
        configuration.waiting(due, ' was reloaded')
        return {applied = due.now, needs_restart = due.restart, needs_process_restart = due.process}
    end

    -- Changes settings while authkv runs. Without an argument, reads the sources again, and the certificates. Returns
    -- the names of settings: `applied`; `needs_restart`, for authkv.restart(); `needs_process_restart`. Raises
    -- what is wrong; then nothing has changed. No request is lost.
    local function reload(changes)
        if changes ~= nil and type(changes) ~= 'table' then
            error('usage: authkv.reload() or authkv.reload{NAME = value}', 2)
        end
        for name in pairs(changes or {}) do
            if type(name) ~= 'string' then
                error('usage: authkv.reload() or authkv.reload{NAME = value}', 2)
            end
        end
        return alone(reload_now, changes)
    end

    -- The settings in the order of the list: rows of name, value in force, where it comes from, and what a change of it
    -- waits for. Secrets are only said to be set.
    local function config()
        if plan == nil then
            error('authkv is not started', 0)
        end
        return configuration.rows(in_force or kept, origins, wanted(), host ~= nil)
    end

    -- The health of the instance, with what belongs to it. Does not yield.
    local function status()
        return health.status(native.version(), loaded(), {http = http, admin = admin})
    end

    return {
        check_settings = check_settings,
        prepare = process.prepare,
        status = status,
        start = start,
        stop = stop,
        restart = restart,
        reload = reload,
        config = config,
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
