-- Tells the library which changes of pairs replication brings, in the order of their commits, while this instance is
-- read-only. Tarantool runs these triggers for the rows of others too.

local ffi = require('ffi')
local fiber = require('fiber')
local msgpack = require('msgpack')
local replication = require('authkv.replication')

ffi.cdef('int64_t box_txn_id(void);')

local ARRAY = {__serialize = 'array'}
-- The kinds of changes, as src/storage/kv/replicated.rs knows them.
local PUT, DELETE, EXPIRE = 0, 1, 2
-- How many transactions wait for the library at most. If there are more, all are dropped, which it notices.
local WAITING_MAX = 10000

-- Before 2.10 Tarantool never frees a trigger of a commit, nor what it refers to (gh-6025). So the trigger removes
-- itself. This must be its last act: Tarantool reads the freed trigger once more after it returns, and until then this
-- thread allocates nothing. The trigger of a synchronous transaction cannot be removed: it stays, but without changes.
local KEEPS_TRIGGERS = replication.version() < 2010

-- The transaction that is being applied, those that are committed and not told yet, and the signal of one.
local current, committed, signal = nil, {}, fiber.cond()
-- The fibers, whether the triggers are set, and whether an instance of the library is to hear of it.
local watcher, teller, is_set, is_due

-- The transaction of the row that is being applied; nil if the row is this instance's own.
local function transaction()
    if box.session.type() ~= 'applier' then
        return nil
    end
    local id = ffi.C.box_txn_id()
    if current == nil or current.id ~= id then
        local one = {id = id, changes = setmetatable({}, ARRAY)}
        current = one
        local function done()
            if one.last ~= nil then
                if #committed >= WAITING_MAX then
                    committed = {}
                end
                table.insert(committed, {one.before, one.last, one.changes})
                signal:signal()
            end
            one.changes = nil
            if current == one then
                current = nil
            end
            if KEEPS_TRIGGERS then
                pcall(box.on_commit, nil, done)
            end
        end
        box.on_commit(done)
    end
    return current
end

local function is_expired(tuple)
    local expires_at = tuple ~= nil and tuple[4] or nil
    return expires_at ~= nil and expires_at <= fiber.time() * 1000
end

local function on_pair(old, new)
    local one = transaction()
    if one == nil then
        return
    end
    if new ~= nil then
        table.insert(one.changes, {PUT, msgpack.encode(new), is_expired(old)})
    elseif old ~= nil then
        -- Who deletes a pair removes its time before it; the sweep does so after it.
        local kind = old[4] ~= nil and one.timeless ~= old[1] and EXPIRE or DELETE
        table.insert(one.changes, {kind, msgpack.encode(old), false})
    end
    one.timeless = nil
end

local function on_time(old, new)
    if old ~= nil and new == nil then
        local one = transaction()
        if one ~= nil then
            one.timeless = old[2]
        end
    end
end

local function on_number(old, new)
    if new ~= nil and new[1] == 'kv' then
        local one = transaction()
        if one ~= nil then
            one.before, one.last = old ~= nil and old[2] or 1, new[2]
        end
    end
end

local TRIGGERS = {key_value_store = on_pair, authkv_expiry = on_time, authkv_sequence = on_number}

-- Tells the library. What fails is noticed by it at the next transaction, because that does not follow the last one
-- told.
local function tell(follows, transactions)
    local func = box.func['authkv.replicated']
    if func ~= nil then
        pcall(func.call, func, {follows, setmetatable(transactions, ARRAY)})
    end
end

local function set()
    for name, trigger in pairs(TRIGGERS) do
        box.space[name]:on_replace(trigger)
    end
    is_set = true
    tell(true, {})
end

local function unset()
    for name, trigger in pairs(TRIGGERS) do
        pcall(function()
            box.space[name]:on_replace(nil, trigger)
        end)
    end
    is_set = false
    local rest = committed
    committed = {}
    tell(false, rest)
end

local function tell_all()
    while true do
        if #committed == 0 and not is_due then
            signal:wait()
        end
        fiber.testcancel()
        is_due = false
        local some = committed
        committed = {}
        tell(is_set, some)
    end
end

local function watch()
    while true do
        box.ctl.wait_ro()
        set()
        box.ctl.wait_rw()
        unset()
    end
end

-- Begins, or goes on with another instance of the library.
local function start()
    if watcher ~= nil then
        -- Not in this fiber: after another reload the call would wait for the start that this fiber is doing.
        is_due = true
        signal:signal()
        return
    end
    is_set, is_due = false, false
    teller, watcher = fiber.create(tell_all), fiber.create(watch)
    teller:name('authkv-told')
    watcher:name('authkv-role')
end

local function stop()
    if watcher == nil then
        return
    end
    for _, one in ipairs({watcher, teller}) do
        pcall(one.cancel, one)
    end
    watcher, teller = nil, nil
    if is_set then
        unset()
    end
end

return {start = start, stop = stop}
