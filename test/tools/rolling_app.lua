-- An application with authkv in an instance of a replica set that elects its leader: rolling_upgrade.py runs it with an
-- old and with a new build of the library. Elections and synchronous spaces are the application's, because old builds
-- have no settings for them.

local fiber = require('fiber')
local log = require('log')

local environment = os.environ() -- luacheck: ignore
local settings = {}
for name, value in pairs(environment) do
    local setting = name:match('^AUTHKV_(.*)$')
    if setting ~= nil then
        settings[setting] = value
    end
end
package.cpath = environment.ROLLING_LIBRARY .. '/lib?.so;' .. package.cpath
local authkv = require('authkv')
rawset(_G, 'authkv', authkv)

local dir = settings.DATA_DIR
local addresses = {}
for address in environment.ROLLING_REPLICATION:gmatch('[^,]+') do
    table.insert(addresses, 'replicator:secret@' .. address)
end
box.cfg({
    memtx_dir = dir, wal_dir = dir, vinyl_dir = dir, listen = settings.IPROTO_LISTEN, replication = addresses,
    election_mode = 'candidate', replication_timeout = tonumber(environment.ROLLING_TIMEOUT),
    replication_synchro_quorum = 'N/2 + 1', replication_connect_timeout = 30,
})
require('console').listen('unix/:' .. dir .. '/console.sock')

-- What the application does as the leader, before authkv takes the rights of guest away.
local function prepare()
    box.schema.user.create('replicator', {password = 'secret', if_not_exists = true})
    box.schema.user.grant('replicator', 'replication', nil, nil, {if_not_exists = true})
end

local function make_synchronous()
    for _, space in pairs(box.space) do
        local is_kept = type(space) == 'table' and space.id >= 512 and not space.is_local and not space.temporary
        if is_kept and not space.is_sync then
            space:alter({is_sync = true})
        end
    end
end

local PAUSE = 0.1
while true do
    local ok, err = pcall(function()
        if not box.info.ro then
            prepare()
        end
        authkv.start(settings)
    end)
    if ok then
        break
    end
    log.warn('cannot start yet: %s', err)
    fiber.sleep(PAUSE)
end
box.ctl.on_shutdown(authkv.stop)
fiber.create(function()
    while true do
        box.ctl.wait_rw()
        local ok, err = pcall(make_synchronous)
        if not ok then
            log.warn('cannot make the spaces synchronous: %s', err)
        end
        pcall(box.ctl.wait_ro, PAUSE)
        fiber.sleep(PAUSE)
    end
end)
print('authkv: ready')
io.stdout:flush()
