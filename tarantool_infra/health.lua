-- The health of this instance: what only Lua knows of it, what the console shows, and the checks that Tarantool has
-- from 3.8 on.

local replication_of = require('authkv.replication')
local schema = require('authkv.schema')

local FOLLOWS = {follow = true, sync = true}

-- Why a read-only instance should not get requests: because it could be writable, and because it does not follow any
-- more. Two nils if it should. `by_setting`: the settings make it read-only. Does not yield.
local function standby(by_setting)
    if schema.is_orphan() then
        return 'the instance is an orphan: it has not caught up with its replica set', nil
    end
    local broken
    for id, peer in pairs(box.info.replication) do
        local upstream = peer.upstream
        if upstream ~= nil and FOLLOWS[upstream.status] then
            return nil, nil
        elseif upstream ~= nil then
            local why = upstream.message and ': ' .. upstream.message or ''
            broken = ('the replication from instance %d is %s%s'):format(id, upstream.status, why)
        end
    end
    if broken == nil and not by_setting then
        return 'the instance is read-only, and follows no other', nil
    end
    return nil, broken
end

-- A table with these fields, which the console shows in this order. Each is a pair of name and value.
local function ordered(fields)
    local result = {}
    for _, field in ipairs(fields) do
        result[field[1]] = field[2]
    end
    return setmetatable(result, {__serialize = function()
        local shown = {}
        for _, field in ipairs(fields) do
            if field[2] ~= nil then
                table.insert(shown, {[field[1]] = field[2]})
            end
        end
        return shown
    end})
end

-- A check, which the console shows as its name with `ok` or the reason.
local function check(told)
    local result = {name = told.name, ok = told.reason == nil, reason = told.reason}
    return setmetatable(result, {__serialize = function(self)
        return {[self.name] = self.ok and 'ok' or self.reason}
    end})
end

local function passes(checks)
    for _, one in ipairs(checks) do
        if one.reason ~= nil then
            return false
        end
    end
    return true
end

-- The checks of both probes. Those with the same name are the same check, with more or less patience.
local function checks_of(health)
    local all, known = {}, {}
    for _, told in ipairs(health.ready) do
        table.insert(all, check(told))
        known[told.name] = true
    end
    for _, told in ipairs(health.live) do
        if not known[told.name] then
            table.insert(all, check(told))
        end
    end
    return all
end

-- The other instances of the replica set.
local function replication()
    local peers = {}
    for id, peer in pairs(box.info.replication) do
        local up, down = peer.upstream, peer.downstream
        if up ~= nil or down ~= nil then
            table.insert(peers, ordered({
                {'id', id},
                {'uuid', peer.uuid},
                {'upstream', up and up.status},
                {'lag', up and up.lag},
                {'message', up and up.message},
                {'downstream', down and down.status},
            }))
        end
    end
    table.sort(peers, function(one, other) return one.id < other.id end)
    return peers
end

local function queue(told)
    return ('%d of %d'):format(told[2], told[3])
end

local function pools(told)
    local fields = {}
    for _, pool in ipairs(told) do
        table.insert(fields, {pool[1], queue(pool)})
    end
    return ordered(fields)
end

local function role(health)
    local words = {}
    for _, service in ipairs(health.services) do
        table.insert(words, service)
    end
    table.insert(words, box.info.ro and 'read-only' or 'writable')
    if health.follow ~= nil then
        table.insert(words, 'follows ' .. health.follow)
    end
    return table.concat(words, ', ')
end

-- What `authkv.status()` returns. `about` is what the library tells of itself; `addresses` are those of HTTP and of the
-- admin listener.
local function status(version, about, addresses)
    local health = about.health
    local fields = {{'version', version}, {'tarantool', _TARANTOOL}}
    if health == nil then
        table.insert(fields, {'started', false})
        return ordered(fields)
    end
    local cluster = replication_of.replicates() and replication_of.cluster() or {}
    local leader = replication_of.replicates() and replication_of.leader() or nil
    local disk = passes(health.ready) and 'written %d s ago' or 'last written %d s ago'
    for _, field in ipairs({
        {'role', role(health)},
        {'uptime', math.floor(box.info.uptime)},
        {'addresses', ordered({
            {'http', addresses.http},
            {'admin', addresses.admin},
            {'iproto', box.info.listen or box.cfg.listen},
        })},
        {'live', passes(health.live)},
        {'ready', passes(health.ready)},
        {'checks', checks_of(health)},
        {'leader', leader and leader.name},
        {'term', cluster.term},
        {'quorum', cluster.quorum},
        {'replication', replication()},
        {'key', health.key},
        {'queue', queue(health.queue)},
        {'pools', pools(health.pools)},
        {'disk', disk:format(health.written_ago)},
    }) do
        table.insert(fields, field)
    end
    return ordered(fields)
end

-- Tarantool's module of health checks, from 3.8 on. It has no public function to remove a check, and none to add one of
-- readiness outside of a role.
local function module()
    if box.ctl.liveness_probe == nil then
        return nil
    end
    local ok, found = pcall(require, 'internal.healthcheck')
    return ok and type(found) == 'table' and found or nil
end

-- The checks that were registered: pairs of a function that removes one, and its name.
local registered = {}

local function unregister()
    for _, one in ipairs(registered) do
        one.remove(one.name, {if_exists = true})
    end
    registered = {}
end

-- A check for Tarantool, which calls it in any session and does not let it yield.
local function probe(about, kind, name)
    return function()
        local health = box.session.su('admin', about).health
        for _, told in ipairs(health and health[kind] or {}) do
            if told.name == name and told.reason ~= nil then
                return false, told.reason
            end
        end
        return true
    end
end

-- Registers the checks with Tarantool in place of earlier ones, if it knows such. `about` returns what the library
-- tells. `by_role`: without those of readiness, because a role of Tarantool has a check of its own.
local function register(about, by_role)
    unregister()
    local tarantool, health = module(), about().health
    if tarantool == nil or health == nil then
        return
    end
    local function add(kind, named, insert, remove)
        for _, told in ipairs(named) do
            local name = 'authkv.' .. told.name
            if insert(name, probe(about, kind, told.name)) and remove ~= nil then
                table.insert(registered, {name = name, remove = remove})
            end
        end
    end
    add('live', health.live, function(name, act)
        return box.ctl.liveness_probe({name = name, check = act})
    end, tarantool.remove_liveness_probe)
    if tarantool.add_health_check ~= nil and not by_role then
        add('ready', health.ready, tarantool.add_health_check, tarantool.remove_health_check)
    end
end

return {standby = standby, status = status, register = register, unregister = unregister}
