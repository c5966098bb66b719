-- The fiber of a key-value instance that follows an authorization instance: its revocations, users, roles and keys.

local fiber = require('fiber')
local log = require('log')
local net_box = require('net.box')

local PERIOD = 0.2
local TIMEOUT = 2

-- When all changes were last known.
local heard_at

-- Milliseconds since all changes were last known, or nil.
local function heard_ago()
    return heard_at and math.ceil((fiber.clock() - heard_at) * 1000)
end

-- Asks once and applies the answer. Returns the last number applied, and whether there may be more changes already.
local function ask(connection, after)
    local changes = connection:call('authkv.changes', {after}, {timeout = TIMEOUT})
    -- An older authkv on Tarantool 3 sends no outer array.
    changes = changes[1] or changes
    local number = box.func['authkv.changes_apply']:call({changes})
    if number == changes.last then
        heard_at = fiber.clock()
    end
    return number, #changes.entries > 0 and number < changes.last
end

-- Starts the fiber that asks, for ever. A failure is logged once, until it is over or another one.
local function start(address, password)
    local options = {user = 'authkv_follower', password = password, connect_timeout = TIMEOUT}
    local connection, failing, number
    local function step()
        if connection == nil or not connection:is_connected() then
            if connection ~= nil then
                connection:close()
            end
            connection = net_box.connect(address, options)
            if connection.error ~= nil then
                error(connection.error, 0)
            end
            -- The address may belong to another instance now, with other numbers.
            number = 0
        end
        local more
        number, more = ask(connection, number)
        return more
    end
    local follower = fiber.create(function()
        while true do
            local ok, more = pcall(step)
            fiber.testcancel()
            local why = not ok and tostring(more) or nil
            if why ~= nil and why ~= failing then
                log.warn('cannot follow %s: %s', address, why)
            elseif ok and failing ~= nil then
                log.warn('following %s again', address)
            end
            failing = why
            fiber.sleep(ok and more and 0 or PERIOD)
        end
    end)
    follower:name('authkv-follow')
    return follower
end

return {start = start, heard_ago = heard_ago}
