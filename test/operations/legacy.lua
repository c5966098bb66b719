-- Makes a data directory as the services before authkv left it. Takes the plan as JSON on stdin:
-- directory, format (whether the spaces have one), index (TREE or HASH), guest (what guest was granted),
-- users (tuples) and values (by key). A plan without one of the last two makes the directory of one service.

local json = require('json')

local plan = json.decode(io.read('*a'))
box.cfg{memtx_dir = plan.directory, wal_dir = plan.directory, log_level = 'error'}

local function space(name, format)
    local made = box.schema.space.create(name, {format = plan.format and format or nil})
    made:create_index('pk', {type = plan.index, parts = {{1, 'string'}}})
    return made
end

if plan.users ~= nil then
    local user = space('user', {
        {name = 'login', type = 'string'},
        {name = 'password', type = 'string'},
        {name = 'name', type = 'string'},
        {name = 'surname', type = 'string'},
    })
    for _, row in ipairs(plan.users) do
        user:insert(row)
    end
end

if plan.values ~= nil then
    local store = space('key_value_store', {
        {name = 'key', type = 'string'},
        {name = 'value', type = 'any'},
    })
    for key, value in pairs(plan.values) do
        store:insert({key, value})
    end
end

if plan.guest == 'super' then
    box.schema.user.grant('guest', 'super')
else
    box.schema.user.grant('guest', plan.guest, 'universe')
end
box.snapshot()
os.exit(0)
