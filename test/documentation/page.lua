-- Runs blocks of Lua from the pages of the documentation as a console does: what the last line gives is the answer.
-- As a program it takes blocks on lines of hex, and answers each on a line; see `run` for what.

local msgpack = require('msgpack')

local function compile(text)
    local before, last = text:match('^(.*\n)([^\n]+)\n*$')
    return loadstring('return ' .. text) or before and loadstring(before .. 'return ' .. last) or loadstring(text)
end

-- Returns {true, answer} or {false, message}, as msgpack in hex: the console would round doubles.
local function run(text)
    local ok, answer, err = pcall(assert(compile(text), text))
    if not ok then
        answer, err = nil, answer
    end
    return msgpack.encode(err == nil and {true, answer} or {false, tostring(err)}):hex()
end

if arg[1] == '--read' then
    io.stdout:setvbuf('line')
    for line in io.stdin:lines() do
        io.stdout:write(run(line:fromhex()), '\n')
    end
    os.exit(0)
end
return run
