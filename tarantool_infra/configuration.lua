-- The settings of an instance: what differs between two sets of them, when each difference takes effect, and where a
-- value comes from.

local log = require('log')

local native = require('authkv.native')

-- The list of settings, by name: the default, and when a change takes effect.
local DEFAULTS, EFFECTS, OPTIONS = {}, {}, {}
for _, row in ipairs(native.settings()) do
    DEFAULTS[row[1]], EFFECTS[row[1]] = row[2], row[4]
end
for _, name in ipairs(native.options()) do
    OPTIONS[name] = true
end

local SIMPLE = {string = true, number = true, boolean = true}

-- The text of a value: in Lua, numbers and booleans may be written without quotes. Null gives nil. Raises for other
-- values, which would become a text like `table: 0x40`.
local function text_of(name, value)
    if value == nil then
        return nil
    elseif not SIMPLE[type(value)] then
        error(('AUTHKV_%s should be a text, a number or a boolean, not a %s'):format(name, type(value)), 0)
    end
    return tostring(value)
end

-- The settings as strings.
local function texts(given)
    local all = {}
    for name, value in pairs(given) do
        name = tostring(name)
        all[name] = text_of(name, value)
    end
    return all
end

-- `from`, with what `over` has instead. An empty result is sent as a map, not as an array.
local function overlaid(from, over)
    local all = setmetatable({}, {__serialize = 'map'})
    for name, value in pairs(from) do
        all[name] = value
    end
    for name, value in pairs(over or {}) do
        all[name] = value
    end
    return all
end

local function is_of_http(name)
    return name:match('^HTTP_') ~= nil
end

-- The sorted names of the settings that differ. A missing setting has its default.
local function differences(before, after)
    local names = {}
    for name, default in pairs(DEFAULTS) do
        local function value(settings)
            local text = settings[name]
            return text ~= nil and text ~= '' and text or default
        end
        -- The password of admin only matters until that user exists.
        if name ~= 'ADMIN_PASSWORD' and value(before) ~= value(after) then
            table.insert(names, name)
        end
    end
    table.sort(names)
    return names
end

-- When a change takes effect: `http` and `live` with a reload, `restart`, or `process`. `owns_options`: init.lua has
-- called box.cfg, so a reload may change its options.
local function effect_of(name, owns_options)
    if EFFECTS[name] ~= 'reload' then
        return EFFECTS[name]
    elseif OPTIONS[name] and not owns_options then
        return 'process'
    end
    return is_of_http(name) and 'http' or 'live'
end

-- The names that differ: `now`, which a reload changes, and of them `http`, `live` and `options`, which are live too;
-- `restart`; `process`.
local function due(before, after, owns_options)
    local names = {now = {}, http = {}, live = {}, options = {}, restart = {}, process = {}}
    for _, name in ipairs(differences(before, after)) do
        local effect = effect_of(name, owns_options)
        table.insert(names[effect], name)
        if effect == 'http' or effect == 'live' then
            table.insert(names.now, name)
        end
        if effect == 'live' and OPTIONS[name] then
            table.insert(names.options, name)
        end
    end
    return names
end

-- `before`, with the values that these settings have in `after`.
local function changed(before, after, names)
    local all = overlaid(before)
    for _, name in ipairs(names) do
        all[name] = after[name]
    end
    return all
end

-- `after`, but with the values of `before` for what only a start of the process changes.
local function without_process(before, after, owns_options)
    return changed(after, before, due(before, after, owns_options).process)
end

-- Logs what the changes wait for that `due` has. Returns their sorted names. `prefix` is what has happened.
local function waiting(names, prefix)
    local all = {}
    for effect, what in pairs({restart = 'authkv.restart()', process = 'the next start of the process'}) do
        for _, name in ipairs(names[effect]) do
            log.warn('authkv%s: %s takes effect with %s', prefix, name, what)
            table.insert(all, name)
        end
    end
    table.sort(all)
    return all
end

local WAITS = {restart = 'waits for authkv.restart()', process = 'waits for a start of the process'}
-- The console prints a row in one line.
local ROW = {__serialize = 'seq'}

-- The rows of authkv.config(): name, value in force, where it comes from, and what a change waits for. `from` are the
-- origins of the settings in force, `wanted` the settings that are to be in force.
local function rows(in_force, from, wanted, owns_options)
    local waits = {}
    for _, name in ipairs(differences(in_force, wanted)) do
        waits[name] = WAITS[effect_of(name, owns_options)]
    end
    local all = {}
    for _, row in ipairs(native.in_force(in_force)) do
        local name, value = row[1], row[2]
        local text = in_force[name]
        local origin = text ~= nil and text ~= '' and (from[name] or 'start') or 'default'
        table.insert(all, setmetatable({name, value, origin, waits[name]}, ROW))
    end
    return all
end

return {
    text_of = text_of, texts = texts, overlaid = overlaid, is_of_http = is_of_http, due = due, changed = changed,
    without_process = without_process, waiting = waiting, rows = rows, effect_of = effect_of,
}
