-- What an instance tells of its place in its replica set to those who follow it.

local replication = require('authkv.replication')
local schema = require('authkv.schema')

local ARRAY = {__serialize = 'array'}

-- The spaces whose changes others follow, as src/storage/mirror.rs has them.
local MIRRORED = {'revoked_token', 'authkv_subject', 'authkv_role', 'authkv_token_key', 'authkv_api_key'}

local function cluster(info)
    local set = info.replicaset or info.cluster
    return set and set.uuid or ''
end

local function vclock(info)
    local places = setmetatable({}, ARRAY)
    for id, row in pairs(info.vclock) do
        -- 0 counts the rows that are not replicated.
        if id ~= 0 then
            table.insert(places, {id, row})
        end
    end
    return places
end

local function follows(peer)
    return peer ~= nil and peer.upstream ~= nil and peer.upstream.status == 'follow'
end

-- Seconds since a read-only instance certainly knew all changes, or nil and why that is not known.
local function age(info)
    if schema.is_orphan() then
        return nil, 'the instance is an orphan'
    end
    local election = box.cfg.election_mode
    if election ~= nil and election ~= 'off' then
        local leader = info.election.leader
        local peer = info.replication[leader]
        if not follows(peer) then
            return nil, leader == 0 and 'there is no leader' or 'the leader is out of reach'
        end
        return tonumber(peer.upstream.idle)
    end
    -- Nobody says who leads, so none of those that are followed may be out of reach.
    local oldest, is_alone = nil, true
    for id, peer in pairs(info.replication) do
        if peer.upstream ~= nil then
            if not follows(peer) then
                return nil, ('instance %d is out of reach'):format(id)
            end
            oldest = math.max(oldest or 0, tonumber(peer.upstream.idle))
        end
        is_alone = is_alone and id == info.id
    end
    if is_alone then
        return 0
    end
    return oldest, 'no other instance is followed'
end

-- Whether this instance depends on a leader, and for how many seconds it has not heard from it; without `silence`, it
-- does not hear from it at all.
local function contact()
    local info = box.info
    if not info.ro or not replication.replicates() then
        return {depends = false}
    end
    local leader = (box.cfg.election_mode or 'off') == 'off' and replication.leader() or nil
    if leader == nil then
        return {depends = true, silence = (age(info))}
    end
    for _, peer in pairs(info.replication) do
        if peer.uuid == leader.uuid and follows(peer) then
            return {depends = true, silence = tonumber(peer.upstream.idle)}
        end
    end
    return {depends = true}
end

-- How many changes of others are shown here that may still be rolled back, or nil if that cannot be known.
local function unconfirmed(info)
    if info.synchro ~= nil then
        return info.synchro.queue.len
    end
    for _, name in ipairs(MIRRORED) do
        if box.space[name].is_sync then
            return nil
        end
    end
    return 0
end

-- What src/tx/source.rs asks for. Does not yield.
local function place()
    local info = box.info
    local told = {cluster = cluster(info), vclock = vclock(info), age = 0, unconfirmed = 0}
    if info.ro then
        local known, why = age(info)
        local open = unconfirmed(info)
        told.age, told.unconfirmed = known or 0, open or 0
        if known == nil then
            told.behind = why
        elseif open == nil then
            told.behind = 'this Tarantool does not tell which synchronous changes are confirmed'
        end
    end
    return told
end

-- How far this instance has come.
local function position()
    return vclock(box.info)
end

-- How many rows of others this instance has.
local function rows_of_others()
    local info, sum = box.info, 0
    for id, row in pairs(info.vclock) do
        if id ~= 0 and id ~= info.id then
            sum = sum + row
        end
    end
    return sum
end

-- What Tarantool says of rows that it refuses because two instances have written: from 2.10 on it may see that by their
-- terms; any version sees it if both have inserted the same key.
local REFUSALS = {'Split-Brain', 'Duplicate key'}

-- Why the rows of an instance are refused here, if it is because two have written, or nil. `uuid` is that of the
-- instance, or nil for any.
local function refused(uuid)
    for id, peer in pairs(box.info.replication) do
        local up = (uuid == nil or peer.uuid == uuid) and peer.upstream or nil
        for _, refusal in ipairs(REFUSALS) do
            if up ~= nil and up.status == 'stopped' and (up.message or ''):find(refusal, 1, true) then
                return ('the rows of instance %d are refused: %s'):format(id, up.message)
            end
        end
    end
end

-- The same for any instance, or null.
local function split()
    return refused() or box.NULL
end

-- The same for the leader, or for any instance if the leader is not known. For a read-only instance: it goes on serving
-- though it refuses the rows of an old leader.
local function split_from_leader()
    local leader = replication.leader()
    return refused(leader and leader.uuid) or box.NULL
end

return {
    place = place, position = position, contact = contact, rows_of_others = rows_of_others, split = split,
    split_from_leader = split_from_leader,
}
