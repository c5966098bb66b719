-- Checks a back-up: whether each file of its manifest is whole, and whether Tarantool can read each row. Works in a
-- running instance, and in a process without one (backup.lua at the top of the repository).

local digest = require('digest')
local fiber = require('fiber')
local fio = require('fio')
local msgpack = require('msgpack')
local xlog = require('xlog')

local manifests = require('authkv.manifest')
local schema = require('authkv.schema')

-- After so many rows other fibers have their turn.
local ROWS = 100

local USAGE = 'usage: authkv.verify(directory)'

-- How many bytes are read at a time.
local PIECE = 262144

-- The form of Tarantool's files: a header in text, blocks with a checksum each, and a mark at the end.
local BLOCK, COMPRESSED, EOF = '\xd5\xba\x0b\xab', '\xd5\xba\x0b\xba', '\xd5\x10\xad\xed'
local FIXED = 19

-- Ids of Tarantool's own spaces, and the place of a name in their tuples.
local SCHEMA, SPACE = 272, 280

local refuse = manifests.refuse

local function read_manifest(directory)
    if not fio.path.exists(fio.pathjoin(directory, manifests.NAME)) then
        refuse(directory, ('there is no %s: the back-up was cut short, or authkv.backup has not made it')
            :format(manifests.NAME))
    end
    return manifests.read(directory)
end

-- Checks a file against its row in the manifest.
local function check_file(directory, file)
    local path = fio.pathjoin(directory, file.name)
    local what = manifests.fault(path, file.size)
    if what ~= nil then
        refuse(file.name, what)
    end
    local _, found = manifests.read_file(path, function() end)
    if found ~= file.sha256 then
        refuse(file.name, 'it is damaged: its SHA-256 is not that of the manifest')
    end
end

-- A file that the manifest does not name, but that Tarantool would read after a restore.
local function check_others(directory, files)
    local named = {}
    for _, file in ipairs(files) do
        named[file.name] = true
    end
    for _, name in ipairs(fio.listdir(directory) or {}) do
        if name:match('%.%l+$') and not named[name] and ('.snap .xlog .vylog'):find(name:match('%.%l+$'), 1, true) then
            refuse(name, 'it does not belong to this back-up')
        end
    end
end

-- The checksum of a part of an open file.
local function checksum(handle, at, size)
    local sum = digest.crc32.new()
    sum.value = 0
    while size > 0 do
        local piece = handle:pread(math.min(size, PIECE), at)
        if piece == nil or piece == '' then
            return nil
        end
        sum:update(piece)
        at, size = at + #piece, size - #piece
    end
    return sum:result()
end

-- Checks the blocks of an open file. Tarantool's module xlog ends at a damaged block as if it were the end.
local function check_blocks(handle, name)
    local _, start = handle:pread(PIECE, 0):find('\n\n', 1, true)
    local at = start or refuse(name, 'it has no header')
    while true do
        local head = handle:pread(FIXED, at)
        if head == EOF then
            return
        end
        local mark = head:sub(1, #BLOCK)
        if #head < FIXED or mark ~= BLOCK and mark ~= COMPRESSED then
            refuse(name, ('it is damaged at byte %d'):format(at))
        end
        local ok, size, after = pcall(msgpack.decode, head, #BLOCK + 1)
        local sum
        if ok then
            ok, sum, after = pcall(msgpack.decode, head, after)
        end
        if ok then
            ok, sum = pcall(msgpack.decode, head, after)
        end
        if not ok or checksum(handle, at + FIXED, tonumber(size)) ~= tonumber(sum) then
            refuse(name, ('it is damaged at byte %d'):format(at))
        end
        at = at + FIXED + tonumber(size)
    end
end

-- Reads all rows of a snapshot. Returns what is in it.
local function read_rows(path, name)
    local handle, why = fio.open(path, {'O_RDONLY'})
    if handle == nil then
        refuse(name, why)
    end
    local ok, err = pcall(check_blocks, handle, name)
    handle:close()
    if not ok then
        error(err, 0)
    end
    local rows, names, counts, version = 0, {}, {}, nil
    ok, err = pcall(function()
        for _, row in xlog.pairs(path) do
            -- The state of elections has a row of another form.
            local body = row.BODY or {}
            local space, tuple = body.space_id, body.tuple
            rows = rows + 1
            if space ~= nil then
                counts[space] = (counts[space] or 0) + 1
            end
            if space == SPACE then
                names[tuple[3]] = tuple[1]
            elseif space == SCHEMA and tuple[1] == 'authkv' then
                version = tuple[2]
            end
            if rows % ROWS == 0 then
                fiber.sleep(0)
            end
        end
    end)
    if not ok then
        refuse(name, err)
    end
    local function count(space)
        return names[space] and (counts[names[space]] or 0)
    end
    return {rows = rows, schema = version, users = count('user'), pairs = count('key_value_store')}
end

local function check(directory)
    if not fio.path.is_dir(directory) then
        refuse(directory, 'there is no such directory')
    end
    local manifest = read_manifest(directory)
    local snapshot, bytes = nil, 0
    for _, file in ipairs(manifest.files) do
        check_file(directory, file)
        bytes = bytes + file.size
        if file.name:match('%.snap$') then
            snapshot = file.name
        end
    end
    if snapshot == nil then
        refuse(manifests.NAME, 'it names no snapshot')
    end
    check_others(directory, manifest.files)
    local found = read_rows(fio.pathjoin(directory, snapshot), snapshot)
    if found.schema == nil then
        refuse(snapshot, 'there is no data of authkv in it')
    elseif found.schema > schema.VERSION then
        refuse(snapshot, ('it has schema version %d, but this authkv knows %d: use a newer one')
            :format(found.schema, schema.VERSION))
    end
    found.files, found.bytes, found.keys = #manifest.files, bytes, manifest.keys
    found.made_at, found.revision, found.tarantool = manifest.made_at, manifest.revision, manifest.tarantool
    return found
end

-- `failure` comes from the facade. Returns a function that returns what is in a back-up, or nil and what is wrong with
-- it.
local function new(failure)
    return function(directory)
        if type(directory) ~= 'string' or directory == '' or directory:find('%z') then
            error(USAGE, 2)
        end
        local ok, found = pcall(check, directory)
        if not ok then
            return nil, failure({code = box.error.SYSTEM, name = 'bad_backup', message = tostring(found)})
        end
        return found
    end
end

return {new = new}
