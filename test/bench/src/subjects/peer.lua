-- What authkv is compared with: batch reads and writes in Lua, without tokens. Arguments: the port of iproto, and that
-- of a server of the http rock, or "off".

local json = require('json')

box.cfg({log_level = 'warn', net_msg_max = 4096})
box.schema.space.create('pairs', {id = 600, format = {{'key', 'string'}, {'value', 'any'}}})
local index = box.space.pairs:create_index('primary', {type = 'hash', parts = {1, 'string'}})
local space = box.space.pairs

local function read(keys)
    local data = {}
    for i = 1, #keys do
        local pair = index:get(keys[i])
        if pair == nil then
            error('no such key: ' .. keys[i])
        end
        data[keys[i]] = pair[2]
    end
    return {data = data}
end

local function write(data)
    box.begin()
    for key, value in pairs(data) do
        space:replace({key, value})
    end
    box.commit()
    return {status = 'success'}
end

for name, procedure in pairs({read = read, write = write}) do
    rawset(_G, name, procedure)
    box.schema.func.create(name)
    box.schema.user.grant('guest', 'execute', 'function', name)
end
box.schema.user.grant('guest', 'read,write', 'space', 'pairs')

if arg[2] ~= 'off' then
    local httpd = require('http.server').new('127.0.0.1', tonumber(arg[2]), {
        log_requests = false,
        log_errors = false,
        display_errors = false,
    })
    local headers = {['content-type'] = 'application/json'}
    httpd:route({path = '/read', method = 'POST'}, function(request)
        return {status = 200, headers = headers, body = json.encode(read(json.decode(request:read()).keys))}
    end)
    httpd:route({path = '/write', method = 'POST'}, function(request)
        return {status = 200, headers = headers, body = json.encode(write(json.decode(request:read()).data))}
    end)
    httpd:start()
end
box.cfg({listen = '127.0.0.1:' .. arg[1]})
