-- A member of a replica set: init.lua, with the replication of $REPLICATION: addresses with commas between them.

local dir, addresses = os.getenv('AUTHKV_DATA_DIR'), os.getenv('REPLICATION')
local options = {
    memtx_dir = dir, wal_dir = dir, vinyl_dir = dir, replication_timeout = tonumber(os.getenv('REPLICATION_TIMEOUT')),
    replication_connect_quorum = 0, replication_connect_timeout = 1,
    read_only = os.getenv('AUTHKV_READ_ONLY') == 'true', election_mode = os.getenv('ELECTION_MODE'),
    replication_synchro_quorum = tonumber(os.getenv('QUORUM')),
}
if addresses ~= nil then
    options.replication = addresses:split(',')
    -- A first start joins whoever is there.
    options.replication_connect_quorum = #require('fio').glob(dir .. '/*.snap') == 0 and 1 or 0
end
box.cfg(options)
rawset(arg, 0, 'init.lua')
dofile('init.lua')
