-- What pools of connections ask an instance before they use it: they call `box.info`, which a client may not.

local NAME = 'box.info'
local COMMENT = 'authkv: what pools of connections ask'

-- A function of that name is called in place of the table. Users with the role for clients are shown what pools need;
-- others that may execute it get what they got before.
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

-- Whether the application has given somebody `box.info` by itself, as a right to call Lua (Tarantool 3). A function of
-- that name would take that right away.
local function is_given()
    for _, privilege in box.space._priv:pairs() do
        if privilege.object_type == 'lua_call' and privilege.object_id == NAME then
            return true
        end
    end
    return false
end

-- Lets those with this role ask. A function of the application's own stays as it is, and so do rights to it.
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
