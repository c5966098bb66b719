-- The replica set of this instance: how it comes into it, and who leads. Replication and elections are Tarantool's.
--
-- Without elections, the instance that is not read-only leads. Each leader writes a row into the space authkv_leader
-- when it begins to lead, so all instances know it by replication, and an old leader that comes back finds the new one.

local fiber = require('fiber')
local fio = require('fio')
local log = require('log')
local net_box = require('net.box')

local USER = 'authkv_replication'

-- `box.cfg` of a first start waits this long for the others: the machines of a replica set may take long to start.
local LONG = 365 * 86400

-- Seconds after which the log mentions again what is waited for.
local REMINDER = 10

-- The shortest timeout of an election, in seconds. Within it the instances write to their logs, which takes time on a
-- slow disk.
local ELECTION_MIN = 0.1

-- Rows of leaders that are kept.
local LEADERS = 10

-- What `open` has still to do. Set by `configure`.
local rest

-- The name of this instance. Set by `open`.
local own_name

-- The first two numbers of the version of Tarantool, as one.
local function version()
    local major, minor = _TARANTOOL:match('^(%d+)%.(%d+)')
    return tonumber(major) * 1000 + tonumber(minor)
end

-- Whether this Tarantool has elections: they came with 2.6.1.
local function has_elections()
    local patch = tonumber(_TARANTOOL:match('^%d+%.%d+%.(%d+)') or 0)
    return version() > 2006 or version() == 2006 and patch > 0
end

-- Returns a function that calls `tell` when it is first called, and then at most once in REMINDER seconds.
local function reminder(tell)
    local told
    return function(...)
        if told == nil or fiber.clock() - told >= REMINDER then
            tell(...)
            told = fiber.clock()
        end
    end
end

-- Raises what is wrong with the settings on this Tarantool. Comes before box.cfg.
local function check(settings)
    if settings.election_mode ~= 'off' and not has_elections() then
        error(('AUTHKV_ELECTION_MODE is %s, but Tarantool %s has no elections: with this version it should be off, and '
            .. 'AUTHKV_READ_ONLY=true on all instances but the leader'):format(settings.election_mode, _TARANTOOL), 0)
    end
end

-- Whether this instance replicates others.
local function replicates()
    local of = box.cfg.replication
    return of ~= nil and of ~= '' and (type(of) ~= 'table' or next(of) ~= nil)
end

local function uris(settings, addresses)
    local all = {}
    for _, address in ipairs(addresses) do
        table.insert(all, ('%s:%s@%s'):format(USER, settings.replication_password, address))
    end
    return all
end

-- The last row of a leader: {number, uuid, name, http}. Nil if there is none.
local function last_of(space)
    return space ~= nil and space.index[0] ~= nil and space.index[0]:max() or nil
end

-- Asks the instance at an address who leads. Returns its UUID and the row, which may be nil; or nil and why not.
local function ask(settings, address)
    local patience = math.max(1, 2 * tonumber(settings.replication_timeout))
    local options = {user = USER, password = settings.replication_password, connect_timeout = patience}
    local connection = net_box.connect(address, options)
    local uuid, row
    local ok, err = pcall(function()
        if connection.state ~= 'active' then
            error(connection.error or 'there is no connection', 0)
        end
        uuid = connection.peer_uuid
        local space = connection.space.authkv_leader
        local rows = space and space.index[0]:select({}, {iterator = 'LE', limit = 1, timeout = patience})
        row = rows and rows[1]
    end)
    connection:close()
    if not ok then
        return nil, tostring(err)
    end
    return uuid, row
end

-- Asks all addresses. Returns the last known row, where its instance was found, the addresses that have data, and
-- why others do not answer.
local function ask_all(settings, addresses)
    local last, found, with_data, reasons = nil, nil, {}, {}
    for _, address in ipairs(addresses) do
        local uuid, row = ask(settings, address)
        if uuid == nil then
            table.insert(reasons, ('%s: %s'):format(address, row))
        else
            table.insert(with_data, address)
            if row ~= nil and (last == nil or row[1] > last[1]) then
                last, found = row, nil
            end
            if last ~= nil and last[2] == uuid then
                found = address
            end
        end
    end
    return last, found, with_data, reasons
end

-- Waits until the leader is found. Returns its address.
local function find_leader(settings, addresses)
    local remind = reminder(function(reasons)
        log.warn('authkv: this instance has no data yet, and waits for the leader of its replica set (%s)',
            #reasons > 0 and table.concat(reasons, '; ') or 'no instance leads')
    end)
    while true do
        local _, found, _, reasons = ask_all(settings, addresses)
        if found ~= nil then
            return found
        end
        remind(reasons)
        fiber.sleep(tonumber(settings.replication_timeout) / 2)
    end
end

local function quorum(count)
    -- Older versions take a number only.
    return version() >= 2008 and 'N/2 + 1' or math.floor(count / 2) + 1
end

local LOST = [[
this instance has no data and should lead (AUTHKV_READ_ONLY=false), but %s has data%s. So the data of this instance was
lost. Promote another instance, and start this one with AUTHKV_READ_ONLY=true: it takes its data from there]]

-- Begins without elections, and without data. Returns whether this instance is to lead.
local function begin_anew(settings, addresses, options)
    local last, found, with_data = ask_all(settings, addresses)
    if settings.read_only == 'true' or found ~= nil then
        if settings.read_only ~= 'true' then
            log.warn('authkv: %s leads already, so this instance follows, in spite of AUTHKV_READ_ONLY=false', found)
        end
        found = found or find_leader(settings, addresses)
        log.info('authkv: this instance takes its data from %s', found)
        options.read_only, options.replication = true, uris(settings, {found})
        options.replication_connect_timeout, options.replication_connect_quorum = LONG, 1
        box.cfg(options)
        return false
    end
    if #with_data > 0 then
        local known = last and (', and knows %s as the leader'):format(last[3]) or ''
        error(LOST:format(table.concat(with_data, ', '), known), 0)
    end
    options.read_only, options.replication = false, {}
    box.cfg(options)
    return true
end

-- Begins without elections, with data. Returns whether this instance is to lead.
local function begin_again(settings, addresses, options)
    -- Read-only until it is known that no other instance leads.
    options.read_only, options.replication = true, uris(settings, addresses)
    options.replication_connect_timeout, options.replication_connect_quorum = 1, 0
    box.cfg(options)
    if settings.read_only == 'true' then
        return false
    end
    local last = last_of(box.space.authkv_leader)
    local heard = ask_all(settings, addresses)
    if heard ~= nil and (last == nil or heard[1] > last[1]) then
        last = heard
    end
    if last ~= nil and last[2] ~= box.info.uuid then
        log.warn('authkv: %s was promoted after this instance led, so this one follows, in spite of '
            .. 'AUTHKV_READ_ONLY=false. To promote it: box.cfg{read_only = true} there, box.cfg{read_only = false} '
            .. 'here', last[3])
        return false
    end
    box.cfg({read_only = false})
    return true
end

-- The first box.cfg of an instance of a replica set. `options` are its other options. `open` does the rest.
local function configure(settings, options)
    check(settings)
    local addresses = settings.replication:split(',')
    options.replication_timeout = tonumber(settings.replication_timeout)
    options.replication_synchro_quorum = quorum(#addresses)
    local has_data = #fio.glob(fio.pathjoin(settings.data_dir, '*.snap')) > 0
    if settings.election_mode ~= 'off' then
        -- Tarantool finds out who makes the data, for which the instances have to hear of each other.
        options.listen, options.replication = settings.iproto_listen, uris(settings, addresses)
        options.election_mode = settings.election_mode
        -- If two instances start an election at the same time, it may end without a winner. A new election starts after
        -- this timeout. Tarantool's default is 5 s, so the replica set could be without a leader for 5 s.
        options.election_timeout = math.max(ELECTION_MIN, options.replication_timeout / 2)
        local short = 4 * options.replication_timeout
        options.replication_connect_timeout = has_data and short or LONG
        box.cfg(options)
        rest = function()
            -- A later change of `replication` waits as long for an instance that is gone.
            box.cfg({replication_connect_timeout = short})
        end
        return
    end
    if version() >= 2011 then
        -- Others count numbers of connections that the settings below are about.
        options.bootstrap_strategy = 'legacy'
    end
    local begin = has_data and begin_again or begin_anew
    begin(settings, addresses, options)
    rest = function()
        box.cfg({listen = settings.iproto_listen})
        box.cfg({
            replication_connect_timeout = 1, replication_connect_quorum = 0, replication = uris(settings, addresses),
        })
    end
end

-- The name of this instance.
local function name_of(settings)
    return settings.instance_name ~= '' and settings.instance_name or box.info.uuid
end

-- Lets the other instances in. Comes after the rights are set, and before anything that waits for the others.
local function open(settings)
    own_name = name_of(settings)
    if rest ~= nil then
        rest()
        rest = nil
    end
end

-- Takes over the queue of synchronous transactions of the last leader, if Tarantool does not do so itself.
local function claim(settings)
    local has_queue = settings.synchronous == 'true' and box.ctl.promote ~= nil and box.info.synchro ~= nil
    local owner = has_queue and box.info.synchro.queue.owner
    if has_queue and (box.cfg.election_mode or 'off') == 'off' and owner ~= nil and owner ~= box.info.id then
        box.ctl.promote()
    end
end

-- Notes that this instance leads, if it does not lead already by the last row.
local function lead(settings)
    local space = box.space.authkv_leader
    local last = last_of(space)
    local name, http = name_of(settings), settings.advertised
    local number = last and last[1] or 0
    if last == nil or last[2] ~= box.info.uuid then
        number = number + 1
    elseif last[3] == name and last[4] == http then
        return
    end
    space:replace({number, box.info.uuid, name, http, math.floor(fiber.time())})
    for _, row in ipairs(space:select({}, {iterator = 'LE', offset = LEADERS})) do
        space:delete({row[1]})
    end
end

-- How many instances have to have a synchronous write.
local function quorum_in_force()
    local synchro = box.info.synchro
    local asked = synchro ~= nil and synchro.quorum or box.cfg.replication_synchro_quorum
    return tonumber(asked) or 1
end

-- Whether fewer instances have joined than a synchronous write needs, and others can still join. While such a write
-- waits, Tarantool lets no instance join. From 2.8 on the quorum follows the number of instances, so this is never so.
local function lacks_members()
    return box.space._cluster:len() < quorum_in_force() and (rest ~= nil or box.cfg.listen ~= nil)
end

-- What the last row of an instance says, or its UUID.
local function known_as(uuid)
    for _, row in box.space.authkv_leader.index[0]:pairs({}, {iterator = 'REQ'}) do
        if row[2] == uuid then
            return {uuid = uuid, name = row[3], http = row[4] ~= '' and row[4] or nil}
        end
    end
    return {uuid = uuid, name = uuid}
end

-- The fiber that notices whether this instance leads.
local watcher

local function stop_watching()
    if watcher ~= nil then
        pcall(watcher.cancel, watcher)
        watcher = nil
    end
end

-- Seconds between two looks of the fiber.
local PAUSE = 1

-- Takes over the queue of synchronous transactions. From 2.10 on, that of the last leader keeps an instance read-only
-- that is so by no option any more.
local function claim_queue()
    local ok, err = pcall(box.ctl.promote)
    if not ok then
        log.warn('authkv: the last leader still has the queue of synchronous transactions: %s', err)
    end
end

-- The term in which this instance was elected though it may not write: Tarantool 2.11 refuses its promotion after a
-- pause of a leader. Nil if that is not so.
local function refused_term()
    local election = box.info.election
    return election ~= nil and election.state == 'leader' and box.info.ro and election.term or nil
end

-- Two errors for which Tarantool 2.6 never replicates an instance again: the instance does not know this one yet, or it
-- joined a short time ago and lacks older logs. Both are over once the leader has sent what is missing. Newer versions
-- of Tarantool try again themselves.
local PASSING = {'is not registered with replica set', 'Missing .xlog file'}

-- When to try again, and the seconds after that until the next time.
local RETRY_MAX = 60
local retry_at, retry_pause = 0, PAUSE

-- The upstream of an instance that Tarantool replicates no more because of such an error. Nil if there is none.
local function given_up()
    for _, peer in pairs(box.info.replication) do
        local up = peer.upstream
        for _, why in ipairs(up ~= nil and up.status == 'stopped' and PASSING or {}) do
            if (up.message or ''):find(why, 1, true) then
                return up
            end
        end
    end
end

local function retry_given_up()
    local up = given_up()
    if up == nil then
        retry_pause = PAUSE
    elseif fiber.clock() >= retry_at then
        log.info('authkv: %s is asked for its changes again: %s', up.peer, up.message)
        local all = box.cfg.replication
        box.cfg({replication = {}})
        local ok, err = pcall(box.cfg, {replication = all})
        if not ok then
            log.error('authkv: box.cfg{replication = …} failed: %s', err)
        end
        retry_at, retry_pause = fiber.clock() + retry_pause, math.min(2 * retry_pause, RETRY_MAX)
    end
end

-- Waits until this instance may write. Without elections it takes the queue over: if another instance has taken it
-- back, two are to lead, and this one gives way until it was read-only by its option. With elections, an instance whose
-- promotion stays refused only votes from then on, so that another one is elected.
local function await_lead(has_led)
    local may_claim = not has_led or box.cfg.read_only
    local refused, since
    while not pcall(box.ctl.wait_rw, PAUSE) do
        fiber.testcancel()
        retry_given_up()
        may_claim = may_claim or box.cfg.read_only
        local waits = box.info.ro_reason == 'synchro' and (box.cfg.election_mode or 'off') == 'off'
        if may_claim and waits and not box.cfg.read_only then
            claim_queue()
        end
        local term, now = refused_term(), fiber.clock()
        if term ~= refused then
            refused, since = term, now
        elseif term ~= nil and now - since >= 4 * box.cfg.replication_timeout then
            log.error('authkv: this instance was elected, but Tarantool keeps it read-only. Until the process is '
                .. 'restarted, it only votes')
            box.cfg({election_mode = 'voter'})
        end
    end
end

-- Has a fiber notice when this instance begins to lead and when it stops leading, in place of an earlier one. `begin`
-- does what has to be done first; it is tried again if it raises an error. `stop` notes the other.
local function watch(begin, stop)
    stop_watching()
    local function began()
        local ok, err = pcall(begin)
        while not ok and not box.info.ro do
            fiber.testcancel()
            log.error('authkv: this instance leads, but could not begin to: %s; it is tried again', err)
            fiber.sleep(PAUSE)
            ok, err = pcall(begin)
        end
    end
    watcher = fiber.create(function()
        local leads, has_led = not box.info.ro, false
        while true do
            if leads then
                has_led = true
                box.ctl.wait_ro()
                log.info('authkv: this instance is read-only from now on')
                pcall(stop)
            else
                await_lead(has_led)
                log.info('authkv: this instance leads from now on')
                began()
            end
            leads = not leads
        end
    end)
    watcher:name('authkv-lead')
end

-- Who leads: `uuid`, `name`, and `http`, its address if it is known. Nil if nobody leads, or it is not known. Does not
-- yield.
local function leader()
    local info = box.info
    local space = box.space.authkv_leader
    if space == nil then
        return nil
    end
    if not info.ro then
        return known_as(info.uuid)
    end
    local election = info.election
    if election ~= nil and (box.cfg.election_mode or 'off') ~= 'off' then
        local peer = info.replication[election.leader]
        return peer and known_as(peer.uuid)
    end
    local last = last_of(space)
    return last ~= nil and last[2] ~= info.uuid and known_as(last[2]) or nil
end

-- The other instances and this one.
local function members(led_by)
    local space, all = box.space.authkv_leader, {}
    for id, peer in pairs(box.info.replication) do
        local up, is_self = peer.upstream, peer.uuid == box.info.uuid
        table.insert(all, {
            id = id, uuid = peer.uuid, leads = peer.uuid == led_by,
            name = is_self and own_name or space ~= nil and known_as(peer.uuid).name or peer.uuid,
            status = is_self and 'self' or up and up.status or box.NULL,
            lag = up and up.lag or box.NULL, idle = up and up.idle or box.NULL,
        })
    end
    table.sort(all, function(one, other) return one.id < other.id end)
    return all
end

-- What `GET /v1/cluster` answers. Does not yield.
local function cluster()
    local info, who = box.info, leader()
    local mode = box.cfg.election_mode or 'off'
    local last = last_of(box.space.authkv_leader)
    return {
        instance = own_name or info.uuid, leads = not info.ro,
        leader = who and {name = who.name, uuid = who.uuid, http = who.http or box.NULL} or box.NULL,
        election_mode = mode, term = mode ~= 'off' and info.election.term or last and last[1] or 0,
        quorum = quorum_in_force(), members = members(who and who.uuid),
    }
end

return {
    check = check, configure = configure, open = open, replicates = replicates, lacks_members = lacks_members,
    quorum = quorum_in_force, claim = claim, lead = lead, leader = leader, watch = watch, cluster = cluster,
    stop_watching = stop_watching, reminder = reminder, version = version, USER = USER,
}
