-- authkv in Lua: what the console and applications call. The procedures do the checks and the work.

local backup = require('authkv.backup')
local bulk = require('authkv.bulk')
local lifecycle = require('authkv.lifecycle')
local mount = require('authkv.mount')
local native = require('authkv.native')
local verify = require('authkv.verify')

-- The range of authkv's own error codes.
local FIRST, LAST = 20001, 20999

-- The library's table of operations, with the console functions of each.
local OPERATIONS = native.operations()

-- Angle brackets name a group of functions. The named ones come first, the others in the order of the table.
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
authkv.batch                       <batch>: many pairs, with revisions and times to live
authkv.pair                        <pair>: one pair
authkv.kv                          <kv>: conditions, keys in order, counters, changes
authkv.export(file, {prefix = })   write the pairs to a file, a line of JSON each
authkv.import(file, {mode = })     write the pairs of such a file
authkv.backup(directory, {keys = true})   a copy of the data in an empty directory, with the keys if asked for
authkv.verify(directory)           whether a back-up is whole, and what is in it
authkv.restored{revision = }       after a restore: end all tokens, go on with revisions above all that were given
authkv.as(token)                   all of these as the user of the token, and <as: me, password>
authkv.users                       <users>
authkv.roles                       <roles: list, set, delete>
authkv.keys                        <keys>: the keys that sign and verify tokens
authkv.quotas                      <quotas>: what is used of the quotas of prefixes
authkv.mount(httpd, {prefix = })   serve HTTP on a server of the http rock too, below the prefix where it is given
authkv.settings()                  the settings, their defaults and what they mean
authkv.prepare{…}                  before box.cfg: check the files and the limits, cut off the torn end of the log
authkv.version()                   the version of the library that is loaded
authkv.status()                    whether the instance is ready, each check with its reason, and what belongs to it
authkv.config()                    the settings in force, and where each comes from
authkv.reload{NAME = }             go on with these settings; without them, read file, secrets and certificates again
authkv.start{…}                    start; if it runs, change what can change and say which settings need a restart
authkv.stop()                      finish what runs and stop serving
authkv.restart()                   start anew with the same settings, and a new build of the library; no request is lost
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

-- Takes off the array that the procedures of clients add if Tarantool does not (see src/procs.rs). The result inside is
-- a map.
local function unwrapped(result)
    return type(result) == 'table' and result[1] or result
end

-- Calls a procedure. Returns nil and the error if authkv refuses the call; raises any other error.
local function call(procedure, ...)
    local func = box.func['authkv.' .. procedure]
    if func == nil then
        error('authkv is not started: run init.lua', 3)
    end
    local ok, result = pcall(func.call, func, {...})
    if ok then
        return unwrapped(result)
    end
    local code = type(result) == 'cdata' and result.code or 0
    if code < FIRST or code > LAST then
        error(result, 3)
    end
    local name, message = result.message:match('^([%w_]+): (.*)$')
    return nil, failure({code = code, name = name, message = message})
end

-- Sends an empty table as a map, not as an array.
local function map(pairs_)
    if type(pairs_) == 'table' and next(pairs_) == nil then
        return setmetatable({}, {__serialize = 'map'})
    end
    return pairs_
end

-- Raises the usage of a command unless `given` is a table that has only these names.
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

-- Functions whose input or result differs from that of the procedure. `act` calls a procedure by name.
local FORMS = {
    auth_register = function(act)
        return function(user)
            if type(user) ~= 'table' then
                error('usage: authkv.register{login = , password = , name = , surname = }', 2)
            end
            return act('auth_register', user.login, user.password, user.name, user.surname)
        end
    end,
    kv_get = function(act)
        return function(keys)
            local found, err = act('kv_get', keys)
            if found == nil then
                return nil, err
            end
            return found.data
        end
    end,
    kv_put = function(act)
        return function(pairs_)
            return act('kv_put', map(pairs_))
        end
    end,
    user_create = function(act, names)
        return function(user)
            check_names(user, names)
            return act('user_create', user.login, user.password, user.name, user.surname, {roles = user.roles})
        end
    end,
}

-- The console function that a row of the table describes.
local function command(act, procedure, row)
    local names = row.arguments
    if FORMS[procedure] ~= nil then
        return FORMS[procedure](act, names)
    end
    if row.takes_table then
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
    if #names > 0 then
        return function(...)
            return act(procedure, unpack({...}, 1, #names))
        end
    end
    return function(...)
        return act(procedure, ...)
    end
end

-- Splits a name like `users.get` into group and function. Without a group: nil and the name.
local function split(name)
    local group, last = name:match('^(.*)%.(.*)$')
    return group, last or name
end

-- Adds the functions for these callers to a table.
local function add(to, act, callers)
    for _, operation in ipairs(OPERATIONS) do
        for _, row in ipairs(operation.functions) do
            if callers[row.caller] then
                local group, name = split(row.name)
                if group ~= nil then
                    to[group] = to[group] or {}
                end
                local place = group == nil and to or to[group]
                place[name] = command(act, operation.name, row)
            end
        end
    end
    return to
end

-- The owner's functions, and those that need no token or take it as an argument.
local authkv = add({}, function(procedure, ...)
    return call('owner', procedure, ...)
end, {owner = true})
add(authkv, call, {anyone = true})

-- See bulk.lua.
local files = bulk.new(call, failure)
authkv.export, authkv.import = files.export, files.import

-- See backup.lua and verify.lua.
authkv.backup = backup.new(call, failure)
authkv.verify = verify.new(failure)

function authkv.restored(known)
    known = known == nil and {} or known
    check_names(known, {'revision'})
    return call('restored', known.revision or box.NULL)
end

local TAKES_TOKEN = {}
for _, operation in ipairs(OPERATIONS) do
    TAKES_TOKEN[operation.name] = operation.takes_token
end

function authkv.as(token)
    local function act(procedure, ...)
        if TAKES_TOKEN[procedure] then
            return call(procedure, token, ...)
        end
        return call(procedure, ...)
    end
    return add({}, act, {owner = true, user = true})
end

function authkv.settings()
    return native.settings()
end

function authkv.version()
    return native.version()
end

-- The functions of a group, with `first` at the start. The group `as` has the functions that need a user's token.
local function names_of(group, first)
    local names, known = {}, {}
    local function insert(name)
        if not known[name] then
            known[name] = true
            table.insert(names, name)
        end
    end
    for name in first:gmatch('[%w_.]+') do
        insert(name)
    end
    for _, operation in ipairs(OPERATIONS) do
        for _, row in ipairs(operation.functions) do
            local of, name = split(row.name)
            local is_of_user = row.caller == 'user' and group == 'as' and (of ~= nil or authkv[name] == nil)
            if is_of_user then
                insert(row.name)
            elseif of == group and row.caller ~= 'user' then
                insert(name)
            end
        end
    end
    return table.concat(names, ', ')
end

-- Help lines for functions that the text does not mention.
local function others()
    local lines = {}
    for _, operation in ipairs(OPERATIONS) do
        for _, row in ipairs(operation.functions) do
            local group = split(row.name)
            local is_named = HELP:find('authkv%.' .. row.name:gsub('%.', '%%.') .. '%f[^%w_]')
                or group ~= nil and HELP:find('<' .. group .. '[:>]')
            if row.caller ~= 'user' and not is_named then
                table.insert(lines, ('%-34s %s\n'):format('authkv.' .. row.name, operation.summary))
            end
        end
    end
    return table.concat(lines)
end

function authkv.help()
    local text = HELP:gsub('<(%w+):? ?([^>]*)>', names_of)
    return (text:gsub('authkv%.help%(%)', others() .. '%0'))
end

-- Adds authkv's routes to a server of the http rock. See mount.lua.
authkv.mount = mount.mount

-- Start, stop and restart. See lifecycle.lua.
for name, act in pairs(lifecycle.new(call)) do
    authkv[name] = act
end

return authkv
