-- The hop: how a read-only instance asks the leader of its replica set. Two connections, of a Tarantool user that may
-- execute the procedures of the hop and nothing else: one for requests, and one for short questions, which would
-- otherwise wait behind large bodies.

local crypto = require('crypto')
local fiber = require('fiber')
local log = require('log')
local net_box = require('net.box')

local replication = require('authkv.replication')

local USER = 'authkv_forward'
local ROLE = 'authkv_hop'

-- Seconds within which a connection is made, and for which a failure to make one is the answer to everybody.
local CONNECT, REFRAIN = 1, 0.1

-- Seconds after a start in which replication may still be connecting to the leader, and the pause between two looks.
local SETTLING, PAUSE = 2, 0.01

-- Codes of errors that a procedure of the hop raises only if it has done nothing: malformed, read_only, overloaded,
-- shutting_down, not_started; and of Tarantool's that come before it is called.
local NOTHING_DONE = {
    [20001] = true, [20016] = true, [20018] = true, [20019] = true, [20024] = true,
    [box.error.ACCESS_DENIED] = true, [box.error.NO_SUCH_FUNCTION] = true, [box.error.NO_SUCH_PROC] = true,
}

-- The password of the user, made from that of replication; '' if there is none.
local function password_of(settings)
    local secret = settings.replication_password
    return secret ~= '' and crypto.hmac.sha256_hex(secret, USER) or ''
end

-- The password, set by `start`; nil on an instance that asks nobody.
local password

-- A way to the leader: `connection`, `connected_to`, the UUID of the instance at its other end, `is_connecting`, and
-- when a connection could not be made, `failed_at`, and why, `failure`.
local function new_line()
    return {connected = fiber.cond()}
end
local requests, questions = new_line(), new_line()

-- The procedures that are short questions.
local QUESTIONS = {leader_position = true}

-- When the first instance of this process has begun to ask.
local started_at

-- What was last said in the log of a failure.
local told

-- Calls on their way, by their connections. One that is not needed any more is closed after its last call.
local on_their_way = setmetatable({}, {__mode = 'k'})

-- Connections that a fiber watches while calls are on their way, and the seconds between two looks.
local watched, LOOK = setmetatable({}, {__mode = 'k'}), 0.1

local function close_if_unused(line, of)
    if of ~= line.connection and (on_their_way[of] or 0) == 0 then
        of:close()
    end
end

local function leave(line)
    local old = line.connection
    line.connection, line.connected_to = nil, nil
    if old ~= nil then
        close_if_unused(line, old)
    end
end

-- The UUID of the leader and its iproto address, where this instance replicates it. Nil and why it cannot be asked if
-- it is not known or out of reach, and whether that may be because this instance has just started.
local function leader()
    local who = replication.leader()
    if who == nil then
        return nil, 'it is not known who leads'
    end
    local info = box.info
    if who.uuid == info.uuid then
        return nil, 'this instance leads'
    end
    for _, peer in pairs(info.replication) do
        local up = peer.uuid == who.uuid and peer.upstream or nil
        if up ~= nil and up.peer ~= nil and (up.status == 'follow' or up.status == 'sync') then
            -- Without the user, and what a Tarantool of the Enterprise Edition adds.
            return who.uuid, (up.peer:gsub('^.*@', ''):gsub('%?.*$', ''))
        end
    end
    local is_new = started_at ~= nil and fiber.clock() - started_at < SETTLING
    return nil, ('%s is out of reach'):format(who.name), is_new
end

local function note_failure(why)
    if why ~= told then
        if why ~= nil then
            log.warn('authkv: the leader cannot be asked: %s', why)
        else
            log.info('authkv: the leader can be asked again')
        end
        told = why
    end
end

local function connect(uuid, address, patience)
    local made = net_box.connect(address, {
        user = USER, password = password, connect_timeout = math.min(CONNECT, patience),
    })
    if made.state == 'active' and made.peer_uuid == uuid then
        return made
    end
    local why = made.state == 'active' and 'another instance is there' or tostring(made.error or 'no answer')
    made:close()
    return nil, ('%s: %s'):format(address, why)
end

-- Ends the calls on their way to an instance that does not lead any more, or cannot be reached: it may never answer
-- them. If another instance leads it has had its time; otherwise it has `replication_timeout` from then on. Returns
-- when none is on its way.
local function watch(of, uuid)
    local since
    while (on_their_way[of] or 0) > 0 do
        fiber.sleep(LOOK)
        local now, who = fiber.clock(), replication.leader()
        if leader() == uuid then
            since = nil
        elseif since == nil then
            since = now
        elseif who ~= nil and who.uuid ~= uuid or now - since >= box.cfg.replication_timeout then
            of:close()
        end
    end
    watched[of] = nil
end

-- Makes the connection of a line, or notes why there is none. Yields.
local function connect_line(line, uuid, address, patience)
    line.is_connecting = true
    local ok, made, why = pcall(connect, uuid, address, patience)
    line.is_connecting = false
    if ok and made ~= nil then
        line.connection, line.connected_to, line.failed_at = made, uuid, nil
        note_failure(nil)
    else
        line.failed_at, line.failure = fiber.clock(), ok and why or tostring(made)
        note_failure(line.failure)
    end
    line.connected:broadcast()
    if not ok then
        error(made, 0)
    end
end

-- A connection of this line to the leader. Nil and why there is none. Yields while it is made.
local function reach(line, patience)
    local deadline = fiber.clock() + patience
    while true do
        local uuid, address, is_new = leader()
        while uuid == nil and is_new and fiber.clock() < deadline do
            fiber.sleep(PAUSE)
            uuid, address, is_new = leader()
        end
        if uuid == nil then
            -- It may be dead without a word, as after a loss of power.
            leave(line)
            return nil, address
        end
        if line.connection ~= nil and (line.connected_to ~= uuid or line.connection.state ~= 'active') then
            leave(line)
        end
        if line.connection ~= nil then
            return line.connection
        end
        local now = fiber.clock()
        if line.failed_at ~= nil and now - line.failed_at < REFRAIN then
            return nil, line.failure
        end
        if now >= deadline or password == nil then
            return nil, 'no connection was made in time'
        end
        if line.is_connecting then
            line.connected:wait(deadline - now)
        else
            connect_line(line, uuid, address, deadline - now)
        end
    end
end

-- Asks the leader: calls a procedure of the hop with a text. Returns what came of it:
--   'answered' and the text that it returned;
--   'refused', the message and the code: the leader has done nothing;
--   'unsent' and why: the leader was certainly not asked;
--   'lost' and why: the leader may have done what was asked, or may still do it.
-- Yields, at most `patience` seconds.
local function ask(procedure, text, patience)
    local deadline = fiber.clock() + patience
    local line = QUESTIONS[procedure] and questions or requests
    local ok, through, why = pcall(reach, line, patience)
    if not ok or through == nil then
        return 'unsent', tostring(ok and why or through)
    end
    if through.state ~= 'active' then
        return 'unsent', 'the connection has ended'
    end
    on_their_way[through] = (on_their_way[through] or 0) + 1
    if not watched[through] then
        watched[through] = true
        fiber.create(watch, through, line.connected_to):name('authkv-hop')
    end
    local answered, result = pcall(through.call, through, 'authkv.' .. procedure, {text}, {
        timeout = math.max(0, deadline - fiber.clock()),
    })
    on_their_way[through] = on_their_way[through] - 1
    close_if_unused(line, through)
    if answered then
        return 'answered', type(result) == 'table' and result[1] or result
    end
    local code = type(result) == 'cdata' and tonumber(result.code)
    if code and NOTHING_DONE[code] then
        return 'refused', tostring(result), code
    end
    return 'lost', tostring(result)
end

-- The rows of this instance, by the ids of those who wrote them. Made once in each turn of the event loop.
local vclock, vclock_of
local function rows()
    local now = fiber.time()
    if vclock_of ~= now then
        vclock, vclock_of = box.info.vclock, now
    end
    return vclock
end

local function has(position)
    local here = rows()
    for _, place in ipairs(position) do
        if (here[place[1]] or 0) < place[2] then
            return false
        end
    end
    return true
end

-- Waits until this instance has every row of a position: {{id, row}, …}. Returns whether it does within `patience`
-- seconds.
local function await(position, patience)
    local deadline = fiber.clock() + patience
    while not has(position) do
        if fiber.clock() >= deadline then
            return false
        end
        fiber.sleep(0.001)
    end
    return true
end

-- Ends the connections, after the answers on their way.
local function leave_all()
    leave(requests)
    leave(questions)
end

-- From now on the leader can be asked, if the settings have the password of replication.
local function start(settings)
    local secret = password_of(settings)
    local changed = secret ~= (password or '')
    started_at = started_at or fiber.clock()
    password = secret ~= '' and secret or nil
    if changed then
        leave_all()
        requests.failed_at, questions.failed_at = nil, nil
    end
end

-- From now on nobody is asked.
local function stop()
    password = nil
    leave_all()
end

return {ask = ask, await = await, start = start, stop = stop, password_of = password_of, USER = USER, ROLE = ROLE}
