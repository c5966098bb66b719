-- Variables that Kubernetes sets for a Service whose name begins with authkv.

-- The values of variables are checked too, so that a mistyped setting is not taken for one of them.
local PROTOCOLS = {tcp = true, udp = true, sctp = true}

local function is_port(value)
    return value:match('^[1-9]%d*$') ~= nil and tonumber(value) <= 65535
end

local function is_address(value)
    local bytes = {value:match('^(%d+)%.(%d+)%.(%d+)%.(%d+)$')}
    for _, byte in ipairs(bytes) do
        if tonumber(byte) > 255 then
            return false
        end
    end
    return #bytes == 4 or value:match('^%x*:[%x:]*:[%x%.]*$') ~= nil
end

-- The protocol and the port of an address like tcp://10.0.0.1:80 or udp://[fd00::1]:53.
local function endpoint(value)
    local protocol, host, port = value:match('^(%l+)://([%d%.]+):(%d+)$')
    if host == nil then
        protocol, host, port = value:match('^(%l+)://%[([%x:%.]+)%]:(%d+)$')
    end
    if PROTOCOLS[protocol] and is_address(host) and is_port(port) then
        return protocol, port
    end
end

-- Each form: the end of the name, and a check of the value. The name begins with that of the Service.
local KUBERNETES = {
    {'_SERVICE_HOST', is_address},
    {'_SERVICE_PORT', is_port},
    {'_SERVICE_PORT_[%u%d_]*[%u%d]', is_port},
    {'_PORT', function(value) return endpoint(value) ~= nil end},
    {'_PORT_(%d+)_(%u+)', function(value, port, protocol)
        local given_protocol, given_port = endpoint(value)
        return given_protocol == protocol and given_port == port
    end},
    {'_PORT_(%d+)_(%u+)_PROTO', function(value, _, protocol) return PROTOCOLS[protocol] and value == protocol end},
    {'_PORT_(%d+)_(%u+)_PORT', function(value, port, protocol) return PROTOCOLS[protocol] and value == port end},
    {'_PORT_(%d+)_(%u+)_ADDR', function(value, _, protocol) return PROTOCOLS[protocol] and is_address(value) end},
}

-- Whether Kubernetes has set this variable.
local function has_set(name, value)
    for _, form in ipairs(KUBERNETES) do
        local service, port, protocol = name:match('^AUTHKV([%u%d_]*)' .. form[1] .. '$')
        local is_name = service == '' or service ~= nil and service:match('^_[%u%d_]*[%u%d]$') ~= nil
        if is_name and form[2](value, port, protocol and protocol:lower()) then
            return true
        end
    end
    return false
end

return {has_set = has_set}
