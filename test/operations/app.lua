-- An application with authkv in it, which the test starts in the console.

local dir = os.getenv('AUTHKV_DATA_DIR')
package.cpath = './target/release/lib?.so;' .. package.cpath
box.cfg({memtx_dir = dir, wal_dir = dir, vinyl_dir = dir})
rawset(_G, 'authkv', require('authkv'))
require('console').listen('unix/:' .. dir .. '/console.sock')
print('authkv: ready')
io.stdout:flush()
