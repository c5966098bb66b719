-- An instance that replicates the one at $REPLICATION, which it joins before all else that init.lua does.

local dir = os.getenv('AUTHKV_DATA_DIR')
box.cfg({memtx_dir = dir, wal_dir = dir, vinyl_dir = dir, replication = os.getenv('REPLICATION'), read_only = true})
rawset(arg, 0, 'init.lua')
dofile('init.lua')
