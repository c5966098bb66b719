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
        heard_at = math.max(heard_at or 0, fiber.clock() - (changes.age or 0))
    end
    return number, #changes.entries > 0 and number < changes.last
end

-- Connects to an instance. Raises what is wrong.
local function connect(address, password)
    local options = {user = 'authkv_follower', password = password, connect_timeout = TIMEOUT}
    local connection = net_box.connect(address, options)
    if connection.error ~= nil then
        connection:close()
        error(connection.error, 0)
    end
    return connection
end

-- What is said of an instance that is followed, or cannot be: a failure once, until it is over or another one.
local function reporter()
    local failing, followed = {}, nil
    return function(address, why)
        if why ~= nil and why ~= failing[address] then
            log.warn('cannot follow %s: %s', address, why)
        elseif why == nil and failing[address] ~= nil then
            log.warn('following %s again', address)
        elseif why == nil and address ~= followed then
            log.info('following %s', address)
        end
        failing[address] = why
        if why == nil then
            followed = address
        end
    end
end

-- Returns a fiber that asks, for ever. `addresses` are separated by commas. It stays with an instance until that fails
-- or is refused, because it is behind or has other data; then it goes on at the next one.
local function started(addresses, password)
    local all, place, connection, number = addresses:split(','), 1, nil, nil
    local report = reporter()
    local function step()
        if connection == nil or not connection:is_connected() then
            if connection ~= nil then
                connection:close()
            end
            connection = nil
            connection = connect(all[place], password)
            -- It may be another instance, with changes that this one has not heard, or have other numbers now.
            number = 0
        end
        local more
        number, more = ask(connection, number)
        return more
    end
    local function leave()
        if #all > 1 and connection ~= nil then
            connection:close()
            connection = nil
        end
        place = place % #all + 1
    end
    local asking = fiber.create(function()
        -- How many instances in turn could not be followed.
        local failed = 0
        while true do
            local ok, more = pcall(step)
            fiber.testcancel()
            report(all[place], not ok and tostring(more) or nil)
            if ok then
                failed = 0
            else
                failed = failed + 1
                leave()
            end
            local at_once = ok and more or not ok and failed % #all ~= 0
            fiber.sleep(at_once and 0 or PERIOD)
        end
    end)
    asking:name('authkv-follow')
    return asking
end

-- The fiber, and whom it follows.
local follower, followed

local function stop()
    if follower ~= nil then
        pcall(follower.cancel, follower)
        follower = nil
    end
end

-- Follows as the settings say. A fiber that already does so goes on.
local function start(settings)
    local whom = settings.follow .. '\0' .. settings.follower_password
    if whom ~= followed then
        stop()
    end
    followed = whom
    if settings.follow ~= '' and follower == nil then
        follower = started(settings.follow, settings.follower_password)
    end
end

return {start = start, stop = stop, heard_ago = heard_ago}
