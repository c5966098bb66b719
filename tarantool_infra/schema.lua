-- Spaces, procedures and rights. One procedure makes and upgrades them; it can run at every start.

local fiber = require('fiber')
local log = require('log')

local hop = require('authkv.hop')
local native = require('authkv.native')
local pool = require('authkv.pool')
local replication = require('authkv.replication')

local VERSION = 8

-- The longest life of an access token in seconds: the upper limit of the setting TOKEN_TTL.
local TOKEN_TTL_MAX = 31536000

-- The procedures of clients: the operations of the library's table.
local CLIENT = {}
for _, operation in ipairs(native.operations()) do
    table.insert(CLIENT, operation.name)
end
local FOLLOWER = {'changes'}
local PROXY = {'forwarded'}
local HOP = {'leader_position', 'carried', 'key_publish'}
local ADMIN = {
    'owner', 'start', 'stop', 'http_start', 'http_stop', 'http_request', 'changes_apply', 'export_page',
    'import_lines', 'reload',
    'restored', 'key_files', 'promoted', 'replicated',
}
-- Procedures of older versions, to be removed.
local GONE = {'revocations', 'revocations_apply'}

-- Creates a space, or opens one of the old system: its tuples stay, and missing fields are appended to its format.
local function space(name, format, options)
    options = options or {}
    options.format = format
    local opened = box.space[name] or box.schema.space.create(name, options)
    if opened.engine ~= 'memtx' then
        error(('the engine of the space %s should be memtx'):format(name), 0)
    end
    if opened.index[0] == nil and opened:bsize() == 0 then
        opened:create_index('primary', {parts = {{field = 1, type = format[1].type}}})
    end
    local primary = opened.index[0]
    local part = primary and primary.parts[1]
    if part == nil or #primary.parts > 1 or part.fieldno ~= 1 or part.type ~= 'string' then
        error(('the primary index of the space %s should be its first field, a string'):format(name), 0)
    end
    -- Lists and exports go along the index, which needs an order.
    if primary.type ~= 'TREE' then
        primary:alter({type = 'TREE'})
    end
    if #opened:format() < #format then
        opened:format(format)
    end
    return opened
end

local function auth_spaces()
    space('user', {
        {name = 'login', type = 'string'},
        {name = 'password', type = 'string'},
        {name = 'name', type = 'string'},
        {name = 'surname', type = 'string'},
        {name = 'created_at', type = 'unsigned', is_nullable = true},
        {name = 'email_verified', type = 'boolean', is_nullable = true},
    })
    -- A secret that all instances with this data have: see src/storage/secret.rs.
    local secret = space('authkv_secret', {
        {name = 'name', type = 'string'},
        {name = 'value', type = 'string'},
    })
    if secret:get('tokens') == nil then
        local drawn = native.draw_secret() or error('the system has no random bytes', 0)
        secret:insert({'tokens', drawn})
    end
end

local function kv_spaces()
    space('key_value_store', {
        {name = 'key', type = 'string'},
        {name = 'value', type = 'any', is_nullable = true},
        {name = 'revision', type = 'unsigned', is_nullable = true},
        -- Milliseconds since 1970.
        {name = 'expires_at', type = 'unsigned', is_nullable = true},
        {name = 'content_type', type = 'string', is_nullable = true},
    })
    -- Pairs in the order of their expiry. Few pairs expire, so this is a space of its own and no index of the pairs.
    local expiry = box.schema.space.create('authkv_expiry', {if_not_exists = true, format = {
        {name = 'expires_at', type = 'unsigned'},
        {name = 'key', type = 'string'},
    }})
    expiry:create_index('primary', {parts = {'expires_at', 'key'}, if_not_exists = true})
end

-- The library knows indexes by id, which depends on the order of creation.
local function index(of, name, parts)
    of:create_index(name, {unique = false, parts = parts, if_not_exists = true})
end

-- A space that other instances follow. See src/storage/mirror.rs for the first fields of its tuples.
local function mirrored(name, id, expires_at, format)
    table.insert(format, 1, {name = id, type = 'string'})
    table.insert(format, 2, {name = expires_at, type = 'unsigned', is_nullable = true})
    table.insert(format, 3, {name = 'number', type = 'unsigned'})
    local opened = space(name, format)
    index(opened, expires_at, {{field = expires_at, is_nullable = true}})
    index(opened, 'number', {'number'})
end

local function own_spaces()
    -- Numbers that only grow. `kv`: the last revision. `tokens_until`: when the last token expires. `generation`:
    -- see src/storage/generation.rs.
    space('authkv_sequence', {
        {name = 'name', type = 'string'},
        {name = 'last', type = 'unsigned'},
    })
    local revoked = space('revoked_token', {
        {name = 'jti', type = 'string'},
        {name = 'expires_at', type = 'unsigned'},
        {name = 'number', type = 'unsigned'},
    })
    index(revoked, 'expires_at', {'expires_at'})
    index(revoked, 'number', {'number'})
    mirrored('authkv_subject', 'login', 'expires_at', {
        {name = 'epoch', type = 'unsigned'},
        {name = 'disabled', type = 'boolean'},
        {name = 'roles', type = 'array'},
        {name = 'ended_at', type = 'unsigned', is_nullable = true},
    })
    mirrored('authkv_role', 'name', 'expires_at', {
        {name = 'permissions', type = 'array', is_nullable = true},
        {name = 'since', type = 'unsigned'},
    })
    mirrored('authkv_token_key', 'kid', 'verifies_until', {
        {name = 'pem', type = 'string'},
        {name = 'created_at', type = 'unsigned'},
        {name = 'signs_from', type = 'unsigned'},
    })
    mirrored('authkv_api_key', 'id', 'expires_at', {
        {name = 'login', type = 'string', is_nullable = true},
        {name = 'digest', type = 'string', is_nullable = true},
        {name = 'name', type = 'string', is_nullable = true},
        {name = 'roles', type = 'array', is_nullable = true},
        {name = 'created_at', type = 'unsigned', is_nullable = true},
    })
    index(box.space.authkv_api_key, 'login', {{field = 'login', is_nullable = true}})
    local use = space('authkv_api_key_use', {
        {name = 'id', type = 'string'},
        {name = 'expires_at', type = 'unsigned'},
        {name = 'used_at', type = 'unsigned'},
    })
    index(use, 'expires_at', {'expires_at'})
    local session = space('authkv_session', {
        {name = 'id', type = 'string'},
        {name = 'expires_at', type = 'unsigned'},
        {name = 'login', type = 'string'},
        {name = 'created_at', type = 'unsigned'},
        {name = 'epoch', type = 'unsigned'},
        {name = 'tokens_until', type = 'unsigned'},
        {name = 'digest', type = 'string'},
        -- {time in milliseconds, digest of the token that was used, salt of the next one}.
        {name = 'refreshed', type = 'array', is_nullable = true},
        {name = 'address', type = 'string', is_nullable = true},
        {name = 'agent', type = 'string', is_nullable = true},
    })
    index(session, 'expires_at', {'expires_at'})
    index(session, 'login', {'login', 'created_at'})
    -- The instance that is followed: see src/storage/followed.rs.
    space('authkv_followed', {
        {name = 'id', type = 'string'},
        {name = 'cluster', type = 'string'},
        {name = 'vclock', type = 'array'},
    })
    -- Memory only: see src/storage/reserve.rs. Made inside pcall, so that a store that is already full can start
    -- without a reserve.
    local made, err = pcall(function()
        local reserve = box.schema.space.create('authkv_reserve', {temporary = true, if_not_exists = true, format = {
            {name = 'id', type = 'unsigned'},
            {name = 'filler', type = 'string'},
        }})
        reserve:create_index('primary', {parts = {'id'}, if_not_exists = true})
    end)
    if not made then
        log.warn('authkv: memory cannot be reserved: %s', err)
    end
    -- The leaders of the replica set: see replication.lua.
    local leader = box.schema.space.create('authkv_leader', {if_not_exists = true, format = {
        {name = 'number', type = 'unsigned'},
        {name = 'uuid', type = 'string'},
        {name = 'name', type = 'string'},
        {name = 'http', type = 'string'},
        {name = 'since', type = 'unsigned'},
    }})
    leader:create_index('primary', {parts = {'number'}, if_not_exists = true})
    -- Local, so a read-only instance can write it too.
    local attempt = space('authkv_login_attempt', {
        {name = 'key', type = 'string'},
        {name = 'expires_at', type = 'unsigned'},
        {name = 'failures', type = 'unsigned'},
        {name = 'delayed_until', type = 'unsigned'},
    }, {is_local = true})
    index(attempt, 'expires_at', {'expires_at'})
end

-- Before version 4 the end of issued tokens was not recorded, so assume the longest life. The records that end the
-- tokens of deleted users are kept until then.
local function keep_endings()
    local deadline = math.floor(fiber.time()) + TOKEN_TTL_MAX
    box.space.authkv_sequence:replace({'tokens_until', deadline})
    for _, subject in ipairs(box.space.authkv_subject.index.expires_at:select({0}, {iterator = 'GT'})) do
        box.space.authkv_subject:update({subject.login}, {{'=', 'expires_at', deadline}})
    end
end

local function procedures(names, role)
    for _, name in ipairs(names) do
        local full = 'authkv.' .. name
        box.schema.func.create(full, {language = 'C', setuid = true, if_not_exists = true})
        box.schema.role.grant(role, 'execute', 'function', full, {if_not_exists = true})
    end
end

-- Whether the data already has this password. A start that changes nothing writes nothing, so that it succeeds on a
-- full disk. Only the default method of Tarantool can be compared: another one mixes random bytes into what it stores.
local function has_password(name, password)
    local record = box.space._user.index.name:get(name)
    local stored = record ~= nil and record[5]['chap-sha1']
    local method = box.cfg.auth_type or 'chap-sha1'
    return stored ~= nil and method == 'chap-sha1' and stored == box.schema.user.password(password)
end

local function user(name, password, role)
    if password == '' then
        return
    end
    box.schema.user.create(name, {if_not_exists = true})
    if not has_password(name, password) then
        box.schema.user.passwd(name, password)
    end
    box.schema.user.grant(name, 'execute', 'role', role, {if_not_exists = true})
end

-- The rights of unauthenticated connections, as tuples. Does not yield.
local function rights_of_guest()
    local rights = {}
    for _, privilege in ipairs(box.space._priv.index.primary:select({box.space._user.index.name:get('guest').id})) do
        if privilege.object_type ~= 'user' then
            table.insert(rights, privilege)
        end
    end
    return rights
end

local function guest_has_rights()
    return #rights_of_guest() > 0
end

-- Takes all rights from unauthenticated connections, also that to replicate.
local function shut_out_guest()
    for _, privilege in ipairs(rights_of_guest()) do
        box.space._priv:delete({privilege.grantee, privilege.object_type, privilege.object_id})
    end
end

-- Every user has the role public, which includes a function that evaluates any Lua.
local function shut_lua()
    box.schema.role.revoke('public', 'execute', 'function', 'LUA', {if_exists = true})
end

-- The version of the schema in the data; 0 if authkv has never run on it.
local function version()
    local record = box.space._schema:get('authkv')
    return record and record[2] or 0
end

-- Whether this instance is read-only only until it has caught up with its replica set, as for a moment after
-- box.cfg{replication = …}.
local function is_orphan()
    local info = box.info
    if info.ro and info.ro_reason == nil then
        -- Below 2.10 there are no other reasons, and the status becomes `orphan` only later.
        local election = box.cfg.election_mode
        return not box.cfg.read_only and (election == nil or election == 'off')
    end
    return info.ro_reason == 'orphan'
end

local function outlast_orphan()
    local PATIENCE = 10
    if is_orphan() then
        pcall(box.ctl.wait_rw, PATIENCE)
    end
end

local HEARD = [[
the data is that of a key-value instance which followed another: it has no users, and the roles that it heard of are not
its own, so nobody could log in. Start it with AUTHKV_SERVICES=kv. To have users too, restore the back-up of the
authorization instance, and import the pairs there. See "Two processes" in documentation/backup.md]]

-- Whether the data was made without users, and has heard of some of another instance.
local function has_only_heard()
    local subjects = box.space.authkv_subject
    return box.space.user == nil and subjects ~= nil and subjects:len() > 0
end

-- The spaces whose writes have to reach most instances of a replica set if SYNCHRONOUS asks for that.
local SYNCHRONOUS = {
    'user', 'authkv_subject', 'authkv_role', 'authkv_token_key', 'authkv_api_key', 'authkv_session', 'revoked_token',
    'authkv_sequence', 'authkv_secret', 'key_value_store', 'authkv_expiry',
}

-- Makes the writes of spaces synchronous or not. By the space of spaces, because older versions have no other way.
local function make_synchronous(wanted)
    local FLAGS = 6
    for _, name in ipairs(SYNCHRONOUS) do
        local opened = box.space[name]
        if opened ~= nil and (opened.is_sync or false) ~= wanted then
            local flags = {}
            for flag, value in pairs(box.space._space:get(opened.id)[FLAGS]) do
                flags[flag] = value
            end
            flags.is_sync = wanted or nil
            flags = setmetatable(flags, {__serialize = 'map'})
            box.space._space:update(opened.id, {{'=', FLAGS, flags}})
        end
    end
end

-- The name of a space whose writes need not reach most instances, or null.
local function asynchronous()
    for _, name in ipairs(SYNCHRONOUS) do
        if box.space[name] ~= nil and not box.space[name].is_sync then
            return name
        end
    end
    return box.NULL
end

-- What the data lacks, if this instance cannot bring it up because it is read-only.
local function lack(found)
    return ('the data is of schema version %d and needs %d, but this instance is read-only: '
        .. 'start the leader with this authkv first'):format(found, VERSION)
end

-- Upgrades the data to this version, as the settings ask. A read-only instance only checks it: returns what it lacks.
local function bring_up(settings)
    outlast_orphan()
    local found = version()
    if found > VERSION then
        error(('the data is of schema version %d, but this authkv knows %d: install a newer one')
            :format(found, VERSION), 0)
    end
    if settings.auth == 'true' and has_only_heard() then
        error(HEARD, 0)
    end
    if box.info.ro then
        return found < VERSION and lack(found) or nil
    end
    replication.claim(settings)
    -- First, because other instances may replicate from the moment at which their user exists.
    shut_out_guest()
    shut_lua()
    if settings.auth == 'true' then
        auth_spaces()
    end
    if settings.kv == 'true' then
        kv_spaces()
    end
    own_spaces()
    if found == 0 and settings.auth == 'true' then
        -- See src/storage/generation.rs: tokens of other data do not hold here, even if their key does.
        box.space.authkv_sequence:replace({'generation', fiber.time64()})
    end
    if found > 0 and found < 4 then
        keep_endings()
    end
    for _, name in ipairs(GONE) do
        box.schema.func.drop('authkv.' .. name, {if_exists = true})
    end
    for _, role in ipairs({'authkv_client', 'authkv_revocations', 'authkv_proxy', hop.ROLE, 'authkv_admin'}) do
        box.schema.role.create(role, {if_not_exists = true})
    end
    procedures(CLIENT, 'authkv_client')
    procedures(FOLLOWER, 'authkv_revocations')
    procedures(PROXY, 'authkv_proxy')
    procedures(HOP, hop.ROLE)
    procedures(ADMIN, 'authkv_admin')
    pool.open('authkv_client')
    user('authkv', settings.client_password, 'authkv_client')
    if settings.auth == 'true' then
        user('authkv_follower', settings.follower_password, 'authkv_revocations')
    end
    if settings.synchronous ~= 'true' or not replication.lacks_members() then
        make_synchronous(settings.synchronous == 'true')
    end
    if found < VERSION then
        box.space._schema:replace({'authkv', VERSION})
    end
    replication.lead(settings)
    user(hop.USER, hop.password_of(settings), hop.ROLE)
    user(replication.USER, settings.replication_password, 'replication')
end

local UPGRADE = [[
the data has Tarantool's schema version %s, and Tarantool %s does not change the schema of such data, as this start
needs, before it is upgraded. Make a copy of the data: an older Tarantool may not open it afterwards. Then give this,
with Tarantool 2.11 first if an older one has used the data last, and with this one:
  tarantool -e "box.cfg{%s} box.schema.upgrade() box.snapshot() os.exit()"
and start again. In the console of an application it is box.schema.upgrade() box.snapshot(), and then authkv.start.
The whole path is in documentation/upgrade.md]]

-- The options of box.cfg that open the data.
local function options()
    local all = {}
    for _, name in ipairs({'memtx_dir', 'wal_dir', 'vinyl_dir', 'memtx_memory', 'memtx_max_tuple_size'}) do
        local value = box.cfg[name]
        table.insert(all, ("%s = %s"):format(name, type(value) == 'string' and ("'%s'"):format(value) or value))
    end
    return table.concat(all, ', ')
end

local NO_ROOM = [[
the disk cannot be written, but this start has to change the data: its schema, the password of a user of Tarantool, or
rights that were granted to guest. Make room on the disk of %s and start again. (%s)]]

-- Tarantool 3 refuses to change the schema of older data before box.schema.upgrade(). Adds this advice to the error, or
-- what to do if the disk is full.
local function with_advice(err)
    if type(err) == 'cdata' and err.code == box.error.WAL_IO then
        return NO_ROOM:format(box.cfg.wal_dir, err.message)
    end
    local needs_upgrade = box.error.SCHEMA_NEEDS_UPGRADE
    if needs_upgrade == nil or type(err) ~= 'cdata' or err.code ~= needs_upgrade then
        return err
    end
    local _, major, minor, patch = box.space._schema:get('version'):unpack()
    return UPGRADE:format(table.concat({major, minor, patch}, '.'), _TARANTOOL, options())
end

-- Brings the data up to this version. A read-only instance waits until the leader of its replica set has done so, or
-- until it leads itself, or `is_over` is true. Raises what is wrong, and what to do about it.
local function upgrade(settings, is_over)
    local PAUSE = 0.1
    local told
    while true do
        if is_over ~= nil and is_over() then
            error('authkv was stopped before it had started', 0)
        end
        local ok, result = pcall(bring_up, settings)
        local lost = not ok and type(result) == 'cdata' and result.code == box.error.READONLY
        if ok and result == nil then
            return
        elseif not ok and not (lost and replication.replicates()) then
            error(with_advice(result), 0)
        elseif not replication.replicates() then
            error(result, 0)
        elseif ok and result ~= told then
            log.info('authkv: waiting for the leader of the replica set: %s', result)
            told = result
        end
        fiber.sleep(PAUSE)
    end
end

-- Seconds between two looks whether others have joined.
local POLL = 0.1

-- Makes spaces synchronous, as the settings ask, once enough instances have joined. Does nothing if they are so
-- already, or if this instance is read-only. Ends early once `is_over` is true.
local function synchronize(settings, is_over)
    local remind = replication.reminder(function()
        log.info('authkv: AUTHKV_SYNCHRONOUS=true needs %d instances, of which %d have joined: this one waits for '
            .. 'the others', replication.quorum(), box.space._cluster:len())
    end)
    local function is_due()
        return settings.synchronous == 'true' and not box.info.ro and asynchronous() ~= nil
    end
    while is_due() and replication.lacks_members() and not (is_over ~= nil and is_over()) do
        remind()
        fiber.sleep(POLL)
    end
    if is_due() then
        upgrade(settings, is_over)
    end
end

return {
    upgrade = upgrade, synchronize = synchronize, is_orphan = is_orphan, asynchronous = asynchronous,
    version = version, VERSION = VERSION, shut_out_guest = shut_out_guest, guest_has_rights = guest_has_rights,
}
