-- The client side of NetBoxFront: calls procedures with net.box from a process of its own.
-- Takes lines of msgpack in hex, {procedure, arguments}, and answers each with {true, result} or
-- {false, code, message}. Hex, because a line of JSON would not keep every 64-bit number.

local msgpack = require('msgpack')
local netbox = require('net.box')

local function answer(...)
    io.stdout:write(msgpack.encode({...}):hex(), '\n')
    io.stdout:flush()
end

local connection = netbox.connect(arg[1], {
    user = os.getenv('NETBOX_USER'),
    password = os.getenv('NETBOX_PASSWORD'),
})
answer(connection:is_connected(), 0, tostring(connection.error))

for line in io.stdin:lines() do
    local request = msgpack.decode(line:fromhex())
    local ok, result = pcall(connection.call, connection, request[1], request[2])
    if ok then
        -- What a C function returns comes as one array of all it returned.
        answer(true, result[1])
    else
        answer(false, result.code, result.message)
    end
end
os.exit(0)
