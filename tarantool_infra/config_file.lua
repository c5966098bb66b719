-- A file of settings: YAML that is one map of names to values, without anything inside one another. Tarantool's module
-- does the reading. What it takes for a number or a boolean is taken as it is written.

local fio = require('fio')
local utf8 = require('utf8')
local yaml = require('yaml')

local MAX = 65536
-- Tarantool's module calls itself for each bracket inside another, and ends the process if there are too many.
local BRACKETS = 200

-- The characters with which YAML begins what is no plain value, and what they mean there.
local SPECIAL = {['&'] = 'an anchor', ['*'] = 'an alias', ['!'] = 'a tag', ['{'] = 'a map'}

-- The text of a file. Raises what is wrong, without the path.
local function text_of(path)
    local stat, err = fio.stat(path)
    if stat == nil then
        error('cannot be read: ' .. tostring(err), 0)
    elseif not stat:is_reg() then
        error('should be a file', 0)
    end
    local file
    file, err = io.open(path, 'rb')
    if file == nil then
        error('cannot be read: ' .. err, 0)
    end
    local text = file:read(MAX + 1) or ''
    file:close()
    if #text > MAX then
        error(('should have at most %d bytes'):format(MAX), 0)
    elseif utf8.len(text) == nil then
        error('should be valid UTF-8', 0)
    end
    return (text:gsub('^\239\187\191', ''):gsub('\r\n', '\n'))
end

-- The text of a plain value, without a comment behind it.
local function plain(rest)
    return ((' ' .. rest):gsub('%s#.*$', ''):match('^%s*(.-)%s*$'))
end

-- Checks the form of each line. Returns the names with what follows them on their line, and the numbers of their lines.
-- Raises what is wrong, with the number of the line.
local function scan(text)
    local values, lines, number, brackets, present = {}, {}, 0, 0, nil
    local function refuse(what)
        error(('line %d: %s'):format(number, what), 0)
    end
    for line in (text .. '\n'):gmatch('(.-)\n') do
        number = number + 1
        if not line:match('^%s*#') then
            brackets = brackets + select(2, line:gsub('[%[{]', ''))
        end
        if brackets > BRACKETS or line:match('^%s*%-%s+[-?]%s') or line:match('^%s*%?%s') then
            refuse('a list or a map inside a list is no setting')
        end
        local is_begin = line:match('^%-%-%-%s*$') and present == nil
        local is_nothing = is_begin or line:match('^%s*$') or line:match('^%s*#')
        local is_continued = line:match('^%s') or line:match('^%-%s')
        if is_continued and not is_nothing and present == nil then
            refuse('should be NAME: value, at the start of the line')
        elseif not is_nothing and not is_continued then
            local name, rest = line:match('^([%w_]+):(.*)$')
            if name == nil or rest ~= '' and not rest:match('^%s') then
                refuse('should be NAME: value')
            end
            local value = plain(rest)
            if values[name] ~= nil then
                refuse(('%s is given in line %d too'):format(name, lines[name]))
            elseif SPECIAL[value:sub(1, 1)] then
                refuse(('%s begins with %s of YAML: put the value into quotes'):format(name, SPECIAL[value:sub(1, 1)]))
            end
            values[name], lines[name], present = value, number, name
        end
    end
    return values, lines
end

-- The text of a list: its items with commas between them, as in the environment.
local function joined(name, list)
    local items = {}
    for key, item in pairs(list) do
        local where = type(key) == 'number' and ('%s[%d]'):format(name, key) or ('%s.%s'):format(name, key)
        if type(key) ~= 'number' or type(item) == 'table' then
            error(('%s: a setting has one value or a list of values, and nothing inside them'):format(where), 0)
        elseif type(item) ~= 'string' or item == '' or item:find(',') then
            error(('%s should be a text without commas: put it into quotes'):format(where), 0)
        end
    end
    for _, item in ipairs(list) do
        table.insert(items, item)
    end
    if #items == 0 then
        error(('%s is an empty list: give the word for nothing that the setting has, or leave it out'):format(name), 0)
    end
    return table.concat(items, ',')
end

local function parse(text)
    local written, lines = scan(text)
    local ok, document = pcall(yaml.decode, text)
    if not ok then
        -- Without the words of the error, which may be words of the file.
        local line = tostring(document):match('line: (%d+)')
        local place = line and 'line ' .. line .. ': ' or ''
        error(place .. 'this is no YAML; a text with special characters needs quotes', 0)
    end
    local settings = {}
    for name, value in pairs(document or {}) do
        local at = lines[name]
        if at == nil then
            error(('%s should be at the start of a line'):format(tostring(name)), 0)
        end
        if type(value) == 'table' then
            value = joined(name, value)
        elseif value ~= nil and type(value) ~= 'string' then
            value = written[name]
            if value == '' then
                error(('line %d: the value of %s should be on this line'):format(at, name), 0)
            end
        end
        -- Null and an empty text count as missing, as in the environment.
        if value ~= nil and value ~= '' then
            settings[name] = value
        end
    end
    return settings
end

-- The settings in a file, as texts by their names. Raises what is wrong, with the path, and never with a value.
local function read(path)
    local ok, result = pcall(function()
        return parse(text_of(path))
    end)
    if not ok then
        error(('%s, which is AUTHKV_CONFIG: %s'):format(path, result), 0)
    end
    return result
end

-- Whether users other than the owner and the group may read a file.
local function is_readable_by_others(path)
    local stat = fio.stat(path)
    return stat ~= nil and bit.band(stat.mode, tonumber('4', 8)) ~= 0
end

return {read = read, is_readable_by_others = is_readable_by_others}
