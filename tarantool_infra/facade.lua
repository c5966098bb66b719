-- authkv in Lua: what the console and applications call. It checks nothing and knows nothing; the procedures do.

local fiber = require('fiber')

local bulk = require('authkv.bulk')
local follow = require('authkv.follow')
local mount = require('authkv.mount')
local native = require('authkv.native')
local rock = require('authkv.rock')
local schema = require('authkv.schema')

-- Codes of authkv's own errors.
local FIRST, LAST = 20001, 20999

local HELP = [[
authkv.register{login = , password = , name = , surname = }   add a user
authkv.login(login, password)      a token, its type, and the seconds it lives
authkv.logout(token)               revoke a token, and its session
authkv.check(token)                whose token it is, and until when
authkv.introspect(token)           the same, as RFC 7662 has it
authkv.session.login(login, password)   a token, and a refresh token that is good once
authkv.session.refresh(token)      new ones for the latter
authkv.get{'a', 'b'}               the values of these keys, as the owner of this instance
authkv.put{a = 1, b = {2, 3}}      write the pairs whose keys do not exist, as the owner of this instance
authkv.batch                       get, put, delete: many pairs, with revisions and times to live
authkv.pair                        get, put, delete: one pair
authkv.kv                          txn, list, incr, watch: conditions, keys in order, counters, changes
authkv.export(file, {prefix = })   write the pairs to a file, a line of JSON each
authkv.import(file, {mode = })     write the pairs of such a file
authkv.as(token)                   all of these as the user of the token, and me, password, logout_all
authkv.users                       register, list, get, create, delete, disable, enable, logout, set_password
authkv.roles                       list, set, delete, grant, revoke
authkv.keys                        set, list, rotate, retire: the keys that sign and verify tokens
authkv.mount(httpd, {prefix = })   serve HTTP on a server of the http rock too, below the prefix where it is given
authkv.settings()                  the settings, their defaults and what they mean
authkv.stop()                      finish what runs and stop serving
authkv.restart()                   load the library anew and go on with the same settings; no request is lost
authkv.http.stop()                 finish what runs and stop serving HTTP
authkv.http.start()                serve HTTP again
authkv.http.reload{HTTP_… = }      go on with these settings of HTTP, and certificates read anew; no request is lost
authkv.help()                      this text

What fails as expected returns nil and an error with code, name and message.
]]

local ERROR = {
    __tostring = function(self)
        return self.name .. ': ' .. self.message
    end,
}

local function failure(err)
    return setmetatable(err, ERROR)
end

-- Calls a procedure. What authkv refuses comes back as nil and the error; anything else is raised.
local function call(procedure, ...)
    local func = box.func['authkv.' .. procedure]
    if func == nil then
        error('authkv is not started: run init.lua', 3)
    end
    local ok, result = pcall(func.call, func, {...})
    if ok then
        return result
    end
    local code = type(result) == 'cdata' and result.code or 0
    if code < FIRST or code > LAST then
        error(result, 3)
    end
    local name, message = result.message:match('^([%w_]+): (.*)$')
    return nil, failure({code = code, name = name, message = message})
end

-- An empty table is an empty map here, not an empty array.
local function map(pairs_)
    if type(pairs_) == 'table' and next(pairs_) == nil then
        return setmetatable({}, {__serialize = 'map'})
    end
    return pairs_
end

-- Settings are texts, but 600 and true may stand in Lua without quotes.
local function texts(given)
    local all = {}
    for name, value in pairs(given) do
        all[tostring(name)] = tostring(value)
    end
    return all
end

local function data(found, err)
    if found == nil then
        return nil, err
    end
    return found.data
end

local authkv = {http = {}}

-- Not in the table, which the console prints: the settings hold passwords. `legacy` is what the instance that runs
-- leaves to one of a newer image of the library, `resuming` whether that one is being started, `given_up` whether
-- that has failed.
local given_settings, follower, legacy, resuming, given_up

function authkv.register(user)
    if type(user) ~= 'table' then
        error('usage: authkv.register{login = , password = , name = , surname = }', 2)
    end
    return call('auth_register', user.login, user.password, user.name, user.surname)
end

function authkv.login(login, password)
    return call('auth_login', login, password)
end

function authkv.logout(token)
    return call('auth_logout', token)
end

function authkv.check(token)
    return call('auth_check', token)
end

-- Raises how a command is used, unless it was given a table of these names: another one is a mistake.
local function check_names(given, names)
    local known = {}
    for _, name in ipairs(names) do
        known[name] = true
    end
    local usage = ('usage: {%s = }'):format(table.concat(names, ' = , '))
    if type(given) ~= 'table' then
        error(usage, 3)
    end
    for name in pairs(given) do
        if not known[name] then
            error(('there is no %s; %s'):format(tostring(name), usage), 3)
        end
    end
end

-- The commands that need no token or are for administrators, and kv. `act` calls the procedure of a name.
local function commands(act)
    local function named(procedure, ...)
        local names = {...}
        return function(given, ...)
            check_names(select('#', ...) == 0 and given or nil, names)
            local args = {}
            for i, name in ipairs(names) do
                args[i] = given[name]
                if args[i] == nil then
                    args[i] = box.NULL
                end
            end
            return act(procedure, unpack(args, 1, #names))
        end
    end
    local function plain(procedure)
        return function(...)
            return act(procedure, ...)
        end
    end
    return {
        get = function(keys)
            return data(act('kv_get', keys))
        end,
        put = function(pairs_)
            return act('kv_put', map(pairs_))
        end,
        batch = {
            get = plain('batch_get'),
            put = plain('batch_put'),
            delete = plain('batch_delete'),
        },
        pair = {
            get = plain('pair_get'),
            put = plain('pair_put'),
            delete = plain('pair_delete'),
        },
        kv = {
            txn = plain('kv_txn'),
            list = plain('kv_list'),
            incr = plain('kv_incr'),
            watch = plain('kv_watch'),
        },
        introspect = plain('session_introspect'),
        users = {
            register = named('user_register', 'login', 'password', 'name', 'surname'),
            list = plain('user_list'),
            get = plain('user_get'),
            create = function(user)
                check_names(user, {'login', 'password', 'name', 'surname', 'roles'})
                return act('user_create', user.login, user.password, user.name, user.surname, {roles = user.roles})
            end,
            delete = plain('user_delete'),
            disable = plain('user_disable'),
            enable = plain('user_enable'),
            logout = plain('user_logout'),
            set_password = plain('user_set_password'),
        },
        roles = {
            list = plain('role_list'),
            set = plain('role_set'),
            delete = plain('role_delete'),
            grant = plain('role_grant'),
            revoke = plain('role_revoke'),
        },
        keys = {
            set = plain('key_set'),
            list = plain('key_list'),
            rotate = plain('key_rotate'),
            retire = plain('key_retire'),
        },
    }
end

-- What the owner of this instance may do.
local owner = commands(function(procedure, ...)
    return call('owner', procedure, ...)
end)
for name, command in pairs(owner) do
    authkv[name] = command
end

-- Files of pairs. See the module.
local files = bulk.new(call, failure)
authkv.export, authkv.import = files.export, files.import

authkv.session = {
    login = function(login, password)
        return call('session_login', login, password)
    end,
    refresh = function(token)
        return call('session_refresh', token)
    end,
}

-- These take no token.
local OPEN = {user_register = true, key_set = true}

function authkv.as(token)
    local function act(procedure, ...)
        if OPEN[procedure] then
            return call(procedure, ...)
        end
        return call(procedure, token, ...)
    end
    local user = commands(act)
    for name, procedure in pairs({
        logout = 'auth_logout',
        check = 'auth_check',
        me = 'user_me',
        password = 'user_password',
        logout_all = 'session_logout_all',
    }) do
        user[name] = function(...)
            return act(procedure, ...)
        end
    end
    return user
end

function authkv.settings()
    return native.settings()
end

function authkv.help()
    return HELP
end

-- Checks settings by name and returns what a start needs of them, before there is a database. Raises what is
-- wrong.
function authkv.check_settings(given)
    local settings, err = native.check_settings(texts(given))
    if settings == nil then
        error(err, 0)
    end
    if settings.rock_listen ~= '' then
        rock.module()
    end
    return settings
end

-- Adds the routes of HTTP to a server of the http rock. See its module.
authkv.mount = mount.mount

-- Calls a procedure that starts something. Raises what is wrong, in words for the operator.
local function launch(procedure, ...)
    local func = box.func['authkv.' .. procedure]
    local ok, started = pcall(func.call, func, {...})
    if not ok then
        error(started.message, 0)
    end
    legacy, started.legacy = started.legacy, nil
    return started
end

-- Brings the schema up to date and starts serving. `given` are the settings by name, as for check_settings.
-- Returns the addresses of HTTP and the password made up for a new admin.
function authkv.start(given)
    given = given or {}
    local settings = authkv.check_settings(given)
    schema.upgrade(settings)
    local all = texts(given)
    all.LOG_FORMAT = all.LOG_FORMAT or box.cfg.log_format
    if legacy ~= nil and settings.follow ~= '' then
        legacy.heard_ago = follow.heard_ago()
    end
    local started = launch('start', map(all), legacy or box.NULL)
    given_settings = given
    rock.serve(settings, started.http)
    if settings.follow ~= '' and follower == nil then
        follower = follow.start(settings.follow, settings.follower_password)
    end
    return started
end

-- Finishes what runs and stops serving. Returns whether all was finished within the limit.
function authkv.stop()
    if follower ~= nil then
        pcall(follower.cancel, follower)
        follower = nil
    end
    local finished = rock.stop()
    if legacy ~= nil then
        legacy.listeners = {}
    end
    local stopped, err = call('stop')
    legacy = nil
    return finished and stopped, err
end

-- Loads the library anew and goes on with the same settings. The instance that runs serves until the new one does,
-- and then finishes what it has, so no request is lost.
function authkv.restart()
    -- Two at a time would take over from the same one, and one of them would never end.
    while resuming do
        fiber.sleep(0.01)
    end
    resuming = true
    box.schema.func.reload('authkv')
    local ok, started = pcall(authkv.start, given_settings)
    resuming, given_up = false, not ok
    if not ok then
        error(started, 0)
    end
    return started
end

-- For the library: what box.schema.func.reload has loaded has no instance yet. Returns whether one is being started.
function authkv.resume()
    if resuming then
        return true
    end
    if legacy == nil or given_up then
        return false
    end
    resuming = true
    fiber.new(function()
        local ok, err = pcall(authkv.start, given_settings)
        resuming, given_up = false, not ok
        if not ok then
            require('log').error('authkv: cannot go on after the reload: %s; mend it and call authkv.restart()', err)
        end
    end)
    return true
end

-- Finishes the requests that run and stops serving HTTP. Returns whether all were finished within the limit.
function authkv.http.stop()
    local finished = rock.stop()
    -- First, because the descriptors will mean something else once they are closed.
    if legacy ~= nil then
        legacy.listeners = {}
    end
    local stopped, err = call('http_stop')
    return finished and stopped, err
end

-- Serves HTTP with the settings of the start and those that have been given since. Returns the addresses.
function authkv.http.start()
    return authkv.http.reload({})
end

-- Has HTTP served as these settings say. Returns the addresses.
local function serve_http(all)
    local settings = authkv.check_settings(all)
    if settings.rock_listen == '' then
        rock.stop()
    end
    local started = launch('http_start', map(texts(all)))
    rock.serve(settings, started.http)
    return started.http
end

-- Goes on with these settings, whose names begin with HTTP_, and reads certificates anew. Connections end after their
-- next answer, so no request is lost. Returns the addresses.
function authkv.http.reload(changes)
    local all = {}
    for name, value in pairs(given_settings or {}) do
        all[name] = value
    end
    for name, value in pairs(changes or {}) do
        if type(name) ~= 'string' or not name:match('^HTTP_') then
            error('authkv.http.reload takes settings whose names begin with HTTP_, not ' .. tostring(name), 2)
        end
        all[name] = value
    end
    local by_rock = authkv.check_settings(given_settings or {}).rock_listen ~= ''
        or authkv.check_settings(all).rock_listen ~= ''
    local ok, addresses = pcall(serve_http, all)
    if not ok then
        -- The library changes nothing where it fails; the rock may have.
        if by_rock then
            pcall(serve_http, given_settings or {})
        end
        error(addresses, 0)
    end
    given_settings = all
    return addresses
end

return authkv
