-- The schema of a build of the library that is newer than the Lua code of the process: a restart loads procedures only.
-- Run by the library with its own Lua code, before it opens spaces: `native`, as `require` has it; `modules`, pairs of
-- name and text; `given`, the settings by name. Returns whether a fiber upgrades the data. What comes of it is in
-- package.loaded['authkv.newer']: `done`, and `problem`, why the data cannot be upgraded. Does not yield.

local native, modules, given = ...

local fiber = require('fiber')

-- The modules of the newer build, loaded once, beside those of the process.
local texts, own = {}, {['authkv.native'] = native}
for _, module in ipairs(modules) do
    texts[module[1]] = module[2]
end

local function find(name)
    if own[name] == nil and texts[name] ~= nil then
        local chunk = assert(loadstring(texts[name], '@' .. name .. '.lua'))
        setfenv(chunk, setmetatable({require = find}, {__index = _G}))
        own[name] = chunk(name)
    end
    return own[name] or require(name)
end

-- What the library asks of modules that the process does not have yet.
for name in pairs(texts) do
    if package.loaded[name] == nil and package.preload[name] == nil then
        package.preload[name] = function()
            return find(name)
        end
    end
end

local schema = find('authkv.schema')
if schema.version() >= schema.VERSION then
    return false
end
local check_settings = find('authkv.process').check_settings

-- What the process upgrades with from now on. `known` are the settings as its older code reads them.
local function upgrade(known, is_over)
    local settings = check_settings(given)
    for name, value in pairs(known) do
        settings[name] = value
    end
    schema.upgrade(settings, is_over)
end

local state = {done = false}
package.loaded['authkv.newer'] = state
fiber.new(function()
    local ok, err = pcall(function()
        if box.info.ro then
            error('the data has an older schema, and this instance is read-only: start the leader with this authkv '
                .. 'first', 0)
        end
        upgrade({})
        local of_process = require('authkv.schema')
        of_process.upgrade, of_process.VERSION = upgrade, schema.VERSION
    end)
    state.problem = not ok and tostring(err) or nil
    state.done = true
end)
return true
