-- Back-ups from a shell: makes one through the console of a running instance, or checks one. Ends with 0 if it is good.
-- See documentation/backup.md.

local fio = require('fio')
local json = require('json')
local socket = require('socket')
local yaml = require('yaml')

local USAGE = [[
usage: tarantool backup.lua make [--keys] DIRECTORY CONSOLE_SOCKET
       tarantool backup.lua verify DIRECTORY]]

local function fail(message)
    io.stderr:write('authkv: ', tostring(message), '\n')
    os.exit(1)
end

-- A string of Lua in one line, because the console takes lines.
local function quoted(text)
    return ('"%s"'):format((text:gsub('[^%w/._-]', function(byte)
        return ('\\%03d'):format(byte:byte())
    end)))
end

-- The value of an expression in the console on a unix socket.
local function evaluate(path, expression)
    local console = socket.tcp_connect('unix/', path)
    if console == nil then
        fail(('cannot connect to %s: is it the console of an instance that runs?'):format(path))
    end
    -- Two lines of greeting come first.
    console:read('\n')
    console:read('\n')
    console:write('return ' .. expression .. '\n')
    local answer = console:read('\n...\n')
    console:close()
    local ok, values = pcall(yaml.decode, answer or '')
    if not ok or type(values) ~= 'table' or type(values[1]) ~= 'table' then
        fail(('the console answered: %s'):format(answer))
    end
    return values[1]
end

local function make(keys, directory, path)
    local seen = evaluate(path, ('(function() local made, err = authkv.backup(%s, {keys = %s}) '
        .. 'return made or {message = err.message} end)()'):format(quoted(fio.abspath(directory)), keys))
    if seen.message ~= nil or seen.error ~= nil then
        fail(seen.message or seen.error)
    end
    print(json.encode(seen))
end

local function verify(directory)
    local here = fio.dirname(fio.abspath(arg[0]))
    -- The library is where init.lua, which is beside this file, finds it.
    for _, place in ipairs({'../../lib/tarantool/?.so', '.rocks/lib/tarantool/?.so', 'target/release/lib?.so'}) do
        package.cpath = ('%s/%s;%s'):format(here, place, package.cpath)
    end
    local loaded, authkv = pcall(require, 'authkv')
    if not loaded or type(authkv) ~= 'table' then
        fail(loaded and 'the library did not load' or authkv)
    end
    local found, err = authkv.verify(directory)
    if found == nil then
        fail(err.message)
    end
    print(json.encode(found))
end

local given = {unpack(arg)}
local keys = false
if given[1] == 'make' and given[2] == '--keys' then
    keys = true
    table.remove(given, 2)
end
if given[1] == 'make' and #given == 3 then
    make(keys, given[2], given[3])
elseif given[1] == 'verify' and #given == 2 then
    verify(given[2])
else
    fail(USAGE)
end
os.exit(0)
