-- authkv in Lua: what the console and applications call. It checks nothing and knows nothing; the procedures do.

local bulk = require('authkv.bulk')
local lifecycle = require('authkv.lifecycle')
local mount = require('authkv.mount')
local native = require('authkv.native')

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
authkv.start{…}                    start; if it runs, change the settings of HTTP and say which need a restart
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

local function data(found, err)
    if found == nil then
        return nil, err
    end
    return found.data
end

local authkv = {}

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

-- The commands that need no token or are for administrators, and kv. `act` calls the procedure of a name.
local function commands(act)
    local function named(procedure, ...)
        local names = {...}
        return function(given, ...)
            if type(given) ~= 'table' or select('#', ...) > 0 then
                error(('usage: {%s = }'):format(table.concat(names, ' = , ')), 2)
            end
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
                if type(user) ~= 'table' then
                    error('usage: create{login = , password = , name = , surname = , roles = }', 2)
                end
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

-- Adds the routes of HTTP to a server of the http rock. See its module.
authkv.mount = mount.mount

-- Start, stop and restart. See the module.
for name, act in pairs(lifecycle.new(call)) do
    authkv[name] = act
end

return authkv
