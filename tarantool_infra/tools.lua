-- The command-line tool of the running Tarantool: tarantoolctl, or tt from 3.0 on.

local HAS_TT_ONLY = 3

local function is_tt()
    return tonumber(_TARANTOOL:match('^%d+')) >= HAS_TT_ONLY
end

-- The command that opens the console on a unix socket.
local function connect(path)
    if not is_tt() then
        return 'tarantoolctl connect unix/:' .. path
    end
    -- tt takes other paths for the name of an application.
    return 'tt connect ' .. (path:match('^%.?%.?/') and path or './' .. path)
end

-- The command that installs a rock.
local function install(rock)
    return (is_tt() and 'tt' or 'tarantoolctl') .. ' rocks install ' .. rock
end

return {connect = connect, install = install}
