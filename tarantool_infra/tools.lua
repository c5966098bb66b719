-- The command-line tool that fits the Tarantool which runs: tarantoolctl, or tt from 3.0 on, which has no tarantoolctl.

local HAS_TT_ONLY = 3

local function is_tt()
    return tonumber(_TARANTOOL:match('^%d+')) >= HAS_TT_ONLY
end

-- The command that opens the console on a unix socket.
local function connect(path)
    if not is_tt() then
        return 'tarantoolctl connect unix/:' .. path
    end
    -- tt takes what does not begin so for the name of an application.
    return 'tt connect ' .. (path:match('^%.?%.?/') and path or './' .. path)
end

-- The command that installs a rock.
local function install(rock)
    return (is_tt() and 'tt' or 'tarantoolctl') .. ' rocks install ' .. rock
end

return {connect = connect, install = install}
