-- HTTP on a server of the `http` rock, 1.5 or newer: its routes pass each request to the library, which answers as its
-- own server would. Runs in the fibers of the rock's server.
--
-- Checks what the rock does not: the length of a body, and its codings (RFC 9112 §6.3). Otherwise the rock and a proxy
-- could see different requests in the same bytes.

local fiber = require('fiber')
local json = require('json')
local log = require('log')

-- The routes of a mount without a prefix, and with one. The rock matches them as Lua patterns, with a slash added at
-- the end. It prefers routes without its `*name` and `:name`, so a `/*name` of the application does not hide authkv's
-- routes.
local PATHS = {
    '/api', '/api/.*', '/v1', '/v1/.*', '/%.well-known/jwks%.json', '/docs', '/docs/.*', '/openapi%.json',
}
local EVERYTHING = {'', '/.*'}
-- The routes of a mount without a prefix if HTTP_HEALTH is on. The application may have its own.
local PROBES = {'/livez', '/readyz'}

-- A route for `ANY` loses to a route that names the method, so known methods are named. `ANY` is for the rest.
local METHODS = {'ANY', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH'}

-- How many bytes are read at a time. Each connection keeps a buffer of twice this size.
local CHUNK = 16384

-- Seconds to read and discard the rest of a refused request, and to wait for more of it. So a client that sends
-- everything before it reads still gets the answer.
local LINGER, SILENCE = 5, 0.25

-- Error codes of the library: shutting_down and not_started.
local UNAVAILABLE = {[20019] = true, [20024] = true}

-- No body is read until authkv is started.
local limits = {input_max = 0, body_timeout = 0, health = false}

-- A refusal: a status, the name of the failure, and a text.
local function refusal(status, code, message)
    return {status = status, code = code, message = message}
end

-- The reason phrases of RFC 9110 for refusals.
local TITLES = {
    [400] = 'Bad Request', [408] = 'Request Timeout', [411] = 'Length Required', [500] = 'Internal Server Error',
    [503] = 'Service Unavailable',
}

-- Renders a refusal as the library would: under /v1 as problem details (RFC 9457).
local function render(refused, path)
    local of_v1 = path:find('^/v1') or path:find('^/%.well%-known/')
    return {
        status = refused.status,
        headers = {['content-type'] = of_v1 and 'application/problem+json' or 'application/json'},
        body = json.encode(of_v1 and {
            type = 'about:blank', title = TITLES[refused.status], status = refused.status, code = refused.code,
            detail = refused.message,
        } or {message = refused.message}),
    }
end

local function left(deadline)
    return math.max(0, deadline - fiber.clock())
end

local function nothing()
    return ''
end

-- Has the rock close the connection after the answer, without reading the rest of the request.
local function close_after(request)
    request.broken, request.read = true, nothing
    local deadline = fiber.clock() + LINGER
    repeat
        local chunk = request.s:read(CHUNK, math.min(SILENCE, left(deadline)))
    until chunk == nil or #chunk < CHUNK or left(deadline) == 0
end

-- The length of the body, or nil and the refusal.
local function length_of(request)
    local headers = request.headers
    -- The rock ends the header at a line without a colon, and takes the rest for the body.
    if request.body ~= '' then
        return nil, refusal(400, 'bad_request', 'The request is not valid HTTP: a line of the header has no colon')
    end
    if headers['transfer-encoding'] ~= nil then
        return nil, refusal(411, 'bad_request', 'The length of the body should be in Content-Length')
    end
    local length = headers['content-length'] or '0'
    if not length:match('^%d+$') or #length > 15 then
        return nil, refusal(400, 'bad_request', 'The request is not valid HTTP: Content-Length should be one number')
    end
    return tonumber(length)
end

-- The whole body, or nil and the refusal.
local function read(request, length)
    local deadline, chunks = fiber.clock() + limits.body_timeout, {}
    while length > 0 do
        local chunk = request:read(math.min(length, CHUNK), left(deadline))
        if chunk == '' and left(deadline) == 0 then
            local late = ('The request body did not come within %d seconds'):format(limits.body_timeout)
            return nil, refusal(408, 'body_timeout', late)
        elseif chunk == '' then
            return nil, refusal(400, 'malformed', 'The body is cut short')
        end
        table.insert(chunks, chunk)
        length = length - #chunk
    end
    return table.concat(chunks)
end

local function peer_of(request)
    local peer = request.peer
    if type(peer) ~= 'table' or peer.family == 'AF_UNIX' then
        return 'unix'
    end
    return (peer.family == 'AF_INET6' and '[%s]:%s' or '%s:%s'):format(peer.host, peer.port)
end

-- The library's answer.
local function answer(request, path, body)
    local procedure = box.func['authkv.http_request']
    if procedure == nil then
        return render(refusal(503, 'not_started', 'authkv is not started on this instance'), path)
    end
    local headers = request.headers
    if next(headers) == nil then
        headers = setmetatable({}, {__serialize = 'map'})
    end
    local ok, result = pcall(procedure.call, procedure, {{
        method = request.method,
        path = path,
        headers = headers,
        remote = peer_of(request),
        body = body,
    }})
    if ok then
        -- Newer versions have a type for bytes.
        result.body = tostring(result.body)
        return result
    end
    if type(result) == 'cdata' and UNAVAILABLE[result.code] then
        local code, message = result.message:match('^([%w_]+): (.*)$')
        return render(refusal(503, code or 'not_started', message or result.message), path)
    end
    -- If it were raised, the rock would log the request with its token and password.
    log.error('authkv: a request failed: %s', result)
    return render(refusal(500, 'internal', 'Internal error: see the log of the server'), path)
end

local function respond(request, path)
    local length, refused = length_of(request)
    local body = ''
    -- The library refuses a body that is too large, by its header.
    if length ~= nil and length > 0 and length <= limits.input_max then
        body, refused = read(request, length)
    end
    local response = refused and render(refused, path) or answer(request, path, body)
    if refused or length > limits.input_max then
        close_after(request)
    end
    if request.method == 'HEAD' then
        response.body = nil
    end
    -- Otherwise the rock would send the version of Tarantool.
    response.headers.server = response.headers.Server or 'authkv'
    return response
end

local function handler(prefix)
    return function(request)
        -- The raw path: decoding could change its meaning.
        local path = request.path_raw
        if path:sub(1, #prefix) == prefix then
            path = path:sub(#prefix + 1)
        end
        path = path ~= '' and path or '/'
        if request.query ~= nil and request.query ~= '' then
            path = path .. '?' .. request.query
        end
        local ok, response = pcall(respond, request, path)
        if ok then
            return response
        end
        log.error('authkv: a request failed: %s', response)
        return render(refusal(500, 'internal', 'Internal error: see the log of the server'), path)
    end
end

-- Adds the routes that are missing. Raises an error if another route takes the place of one.
local function route(httpd, prefix, paths)
    local handle = handler(prefix)
    for _, path in ipairs(paths) do
        -- The rock escapes hyphens itself.
        local pattern = prefix:gsub('%.', '%%.') .. path
        local probe = prefix .. path:gsub('%.%*', 'x'):gsub('%%', '')
        for _, method in ipairs(METHODS) do
            local name = ('authkv %s %s'):format(method, pattern)
            if httpd.iroutes[name] == nil then
                httpd:route({name = name, path = pattern ~= '' and pattern or '/', method = method}, handle)
            end
            local found = httpd:match(method, probe)
            if found == nil or found.endpoint.name ~= name then
                error(('authkv.mount: another route of the server has %s: give a prefix'):format(probe), 0)
            end
        end
    end
end

-- Removes the routes that were added, also those of probes. The http rock can do so from 1.6 on.
local function unroute(httpd, prefix)
    for _, paths in ipairs({PATHS, EVERYTHING, PROBES}) do
        for _, path in ipairs(paths) do
            for _, method in ipairs(METHODS) do
                local name = ('authkv %s %s'):format(method, prefix:gsub('%.', '%%.') .. path)
                if httpd.iroutes[name] ~= nil then
                    httpd:delete(name)
                end
            end
        end
    end
end

-- The servers of mounts without a prefix.
local mounted = setmetatable({}, {__mode = 'k'})

local function route_probes(httpd)
    local ok, err = pcall(route, httpd, '', PROBES)
    if not ok then
        log.warn('authkv: AUTHKV_HTTP_HEALTH=on, but %s', err)
    end
end

-- Set by each start: `input_max`, the largest body of any route in bytes; `body_timeout`, the seconds to send it;
-- `health`, whether there are probes.
local function limit(new)
    limits = new
    for httpd in pairs(limits.health and mounted or {}) do
        route_probes(httpd)
    end
end

-- Routes all paths of a server to authkv.
local function whole(httpd)
    route(httpd, '', EVERYTHING)
end

-- Adds authkv's routes to a server of the rock, below `options.prefix` if it is given. Repeating it changes nothing.
local function mount(httpd, options)
    if type(httpd) ~= 'table' or type(httpd.route) ~= 'function' then
        error('authkv.mount takes a server of the http rock: what it was given has no method route', 2)
    end
    if type(httpd.iroutes) ~= 'table' or type(httpd.tcp_server_f) ~= 'function' then
        error('authkv.mount takes a server of the http rock 1.5 or newer, and none of its line 2', 2)
    end
    if options ~= nil and type(options) ~= 'table' then
        error('usage: authkv.mount(httpd, {prefix = })', 2)
    end
    for name in pairs(options or {}) do
        if name ~= 'prefix' then
            error(('authkv.mount has no option %s: there is prefix'):format(tostring(name)), 2)
        end
    end
    local prefix = options ~= nil and options.prefix or ''
    local is_path = type(prefix) == 'string' and not prefix:find('[^%w_.~/-]') and not prefix:find('//')
    if prefix ~= '' and not (is_path and prefix:match('^/.*[^/]$')) then
        error('authkv.mount: prefix should be like /one or /one/two, of letters, digits and _.~-', 2)
    end
    local ok, err = pcall(route, httpd, prefix, prefix == '' and PATHS or EVERYTHING)
    if not ok then
        error(err, 2)
    end
    mounted[httpd] = prefix == '' or nil
    if prefix == '' and limits.health then
        route_probes(httpd)
    end
end

-- Takes authkv's routes off a server of the rock 1.6 or newer: those of a mount with this prefix, or without one.
local function unmount(httpd, prefix)
    mounted[httpd] = nil
    unroute(httpd, prefix or '')
end

return {mount = mount, unmount = unmount, whole = whole, limit = limit}
