-- The client side of NetBoxTransport: calls procedures with net.box from a process of its own.
-- Takes lines of msgpack in hex, {procedure, arguments}, and answers each with {true, all that it returned} or
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
    local returned = {pcall(connection.call, connection, request[1], request[2])}
    if returned[1] then
        answer(unpack(returned))
    else
        answer(false, returned[2].code, returned[2].message)
    end
end
os.exit(0)
