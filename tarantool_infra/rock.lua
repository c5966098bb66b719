-- HTTP with HTTP_ENGINE=rock: a server of the `http` rock, with the limits that the rock lacks.

local fiber = require('fiber')
local mount = require('authkv.mount')
local tools = require('authkv.tools')

local MISSING = 'AUTHKV_HTTP_ENGINE=rock needs the rock http, 1.5 or newer, on package.path; to install it: '
    .. tools.install('http')

-- The HTTP settings that are limits.
local NAMES = {
    'header_max', 'header_timeout', 'body_timeout', 'idle_timeout', 'write_timeout', 'connections_max',
}

-- How many seconds a stopping server may take to release its address.
local HANDOVER = 1

local TOO_LARGE = 'HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

-- The rock's module. Raises how to install it.
local function module()
    local ok, http_server = pcall(require, 'http.server')
    if not ok then
        error(('%s (%s)'):format(MISSING, tostring(http_server):match('^[^\n]*')), 0)
    end
    if http_server._VERSION == nil then
        error(MISSING, 0)
    end
    return http_server
end

-- Reads the header of the next request for the rock. Returns '' to have the rock end the connection.
local function head(state, connection, read, delimiter)
    if state.stopping then
        return ''
    end
    -- The connection is idle until the first byte comes, so this byte is read alone.
    state.idle[connection] = true
    local first = read(connection, 1, state.limits.idle_timeout)
    state.idle[connection] = nil
    if first == nil or first == '' or state.stopping then
        return ''
    end
    local size = state.limits.header_max - 1
    local rest = read(connection, {delimiter = delimiter, size = size}, state.limits.header_timeout)
    if rest == nil then
        return ''
    end
    for _, ending in ipairs(delimiter) do
        if rest:endswith(ending) then
            return first .. rest
        end
    end
    if #rest >= size then
        connection:write(TOO_LARGE)
    end
    return ''
end

-- Serves a connection, and counts it and its present request.
local function watched(state, serve)
    return function(connection, peer)
        if state.stopping or state.open >= state.limits.connections_max then
            return
        end
        local busy = 0
        local read, write = connection.read, connection.write
        connection.write = function(self, text)
            return write(self, text, state.limits.write_timeout + #text / 65536)
        end
        connection.read = function(self, what, timeout)
            if type(what) ~= 'table' or what.delimiter == nil then
                return read(self, what, timeout)
            end
            state.busy, busy = state.busy - busy, 0
            local text = head(state, self, read, what.delimiter)
            if text ~= '' then
                state.busy, busy = state.busy + 1, 1
            end
            return text
        end
        state.open = state.open + 1
        local ok, err = pcall(serve, connection, peer)
        state.open, state.busy = state.open - 1, state.busy - busy
        if not ok then
            error(err, 0)
        end
    end
end

-- The running server, if any: `listen`, the setting; `address`, with the port that the system chose.
local running

-- Accepts no more requests and finishes the running ones. Returns whether all were finished in time.
local function stop()
    if running == nil then
        return true
    end
    local server, state = running.server, running.state
    running, state.stopping = nil, true
    server:stop()
    for connection in pairs(state.idle) do
        connection:shutdown()
    end
    local deadline = fiber.clock() + state.limits.shutdown_timeout
    while state.busy > 0 and fiber.clock() < deadline do
        fiber.sleep(0.01)
    end
    return state.busy == 0
end

local function bind(server, listen)
    local deadline = fiber.clock() + HANDOVER
    while true do
        local ok, err = pcall(server.start, server)
        if ok then
            return
        elseif fiber.clock() > deadline then
            error(('cannot listen on %s: %s'):format(listen, err), 0)
        end
        fiber.sleep(0.01)
    end
end

local function start(listen, limits)
    local path = listen:match('^unix:(.*)$')
    local host, port = 'unix/', path
    if path == nil then
        host, port = listen:match('^%[?(.-)%]?:(%d+)$')
    end
    local state = {limits = limits, idle = {}, open = 0, busy = 0, stopping = false}
    local server = module().new(host, port, {log_requests = false, log_errors = false, display_errors = false})
    mount.whole(server)
    local tcp_server = server.tcp_server_f
    server.tcp_server_f = function(at, service, options)
        options.handler = watched(state, options.handler)
        return tcp_server(at, service, options)
    end
    bind(server, listen)
    local address = listen
    if path == nil then
        address = (host:find(':') and '[%s]:%s' or '%s:%s'):format(host, server.tcp_server:name().port)
    end
    return {server = server, state = state, listen = listen, address = address}
end

-- What a request may take, by these settings. A server that runs keeps to it from now on.
local function limit(settings)
    local limits = {
        shutdown_timeout = tonumber(settings.shutdown_timeout),
        input_max = tonumber(settings.input_max),
        health = settings.http_health == 'true',
    }
    for _, name in ipairs(NAMES) do
        limits[name] = tonumber(settings['http_' .. name])
    end
    mount.limit(limits)
    if running ~= nil then
        running.state.limits = limits
    end
    return limits
end

-- Starts the rock's server if the settings want one, and adds its address to `addresses`. A server that already listens
-- there goes on. Raises what is wrong.
local function serve(settings, addresses)
    local limits, listen = limit(settings), settings.rock_listen
    if running == nil or running.listen ~= listen then
        stop()
        running = listen ~= '' and start(listen, limits) or nil
    end
    if running ~= nil then
        table.insert(addresses, running.address)
    end
end

return {module = module, serve = serve, limit = limit, stop = stop}
