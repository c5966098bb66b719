-- For connection pools: before they use an instance they call `box.info`, which a client may not do otherwise.

local NAME = 'box.info'
local COMMENT = 'authkv: what pools of connections ask'

-- This function is called in place of the table `box.info`. Users with the role of clients see what pools need. Other
-- users that may execute the function see what they saw before.
local BODY = [[function()
    local role = box.space._user.index.name:get('%s')
    local function has(grantee)
        for _, privilege in box.space._priv:pairs({grantee}) do
            if privilege.object_type == 'role'
                and (privilege.object_id == role.id or has(privilege.object_id)) then
                return true
            end
        end
        return false
    end
    if role ~= nil and has(box.session.uid()) then
        return {ro = box.info.ro, status = box.info.status}
    end
    return box.info()
end]]

-- Whether the application has granted `box.info` as a right to call Lua (Tarantool 3). A function of that name would
-- disable this right.
local function is_given()
    for _, privilege in box.space._priv:pairs() do
        if privilege.object_type == 'lua_call' and privilege.object_id == NAME then
            return true
        end
    end
    return false
end

-- Lets users with this role call `box.info`. Leaves the application's own function and rights alone.
local function open(role)
    local body = BODY:format(role)
    local found = box.space._func.index.name:get(NAME)
    if found ~= nil and found.comment ~= COMMENT then
        return
    end
    if found ~= nil and (found.body ~= body or is_given()) then
        box.schema.func.drop(NAME)
        found = nil
    end
    if found == nil and not is_given() then
        box.schema.func.create(NAME, {setuid = true, body = body, comment = COMMENT})
    end
    if box.space._func.index.name:get(NAME) ~= nil then
        box.schema.role.grant(role, 'execute', 'function', NAME, {if_not_exists = true})
    end
end

return {open = open}
