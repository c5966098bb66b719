-- The manifest of a back-up: which files belong to it. In a directory of data it says that this was filled from a
-- back-up, and that the restore has not been noted yet. See documentation/backup.md.

local crypto = require('crypto')
local fio = require('fio')
local json = require('json')
local log = require('log')

local NAME = 'authkv-backup.json'
-- The manifest while the back-up is being made.
local DRAFT = NAME .. '.new'
local FORMAT = 1

-- How many bytes are read at a time. Their digest is made on the tx thread, in a fraction of a millisecond.
local PIECE = 262144

-- Raises what is wrong with a file.
local function refuse(path, what)
    error(('%s: %s'):format(path, tostring(what)), 0)
end

-- Passes a file in pieces to `take`. Returns its size and SHA-256. Raises what is wrong with it.
local function read_file(path, take)
    local handle, why = fio.open(path, {'O_RDONLY'})
    if handle == nil then
        refuse(path, why)
    end
    local digest, size = crypto.digest.sha256.new(), 0
    local ok, err = pcall(function()
        repeat
            local piece, reason = handle:read(PIECE)
            if piece == nil then
                refuse(path, reason)
            end
            digest:update(piece)
            size = size + #piece
            take(piece)
        until piece == ''
    end)
    handle:close()
    if not ok then
        error(err, 0)
    end
    return size, digest:result():hex()
end

local function sync_directory(path)
    local handle = fio.open(path, {'O_RDONLY'})
    if handle ~= nil then
        handle:fsync()
        handle:close()
    end
end

-- The names of what is in a directory. Raises what is wrong with it.
local function names_in(path)
    local names, why = fio.listdir(path)
    if names == nil then
        refuse(path, why)
    end
    return names
end

-- Whether this is a row of a manifest: the path of a file below the directory, its size and its SHA-256.
local function is_row(file)
    if type(file) ~= 'table' then
        return false
    end
    local name, size, sha256 = file.name, file.size, file.sha256
    return type(name) == 'string' and name ~= '' and not name:match('^/') and not name:find('%z')
        and not ('/' .. name .. '/'):find('/../', 1, true)
        and type(size) == 'number' and size >= 0 and size % 1 == 0
        and type(sha256) == 'string' and #sha256 == 64
end

local function is_list(rows)
    if type(rows) ~= 'table' then
        return false
    end
    local count = 0
    for at, row in pairs(rows) do
        count = count + 1
        if type(at) ~= 'number' or not is_row(row) then
            return false
        end
    end
    return count == #rows
end

-- The manifest in a directory. Raises what is wrong with it.
local function read(directory)
    local path = fio.pathjoin(directory, NAME)
    local parts = {}
    read_file(path, function(piece)
        table.insert(parts, piece)
    end)
    local ok, found = pcall(json.decode, table.concat(parts))
    if not ok or type(found) ~= 'table' or type(found.format) ~= 'number' then
        refuse(path, 'it is damaged, or no manifest of a back-up: copy the back-up again, with all of its files')
    elseif found.format > FORMAT then
        refuse(path, ('a newer authkv has made it (format %s, this one knows %d): use that one')
            :format(found.format, FORMAT))
    elseif found.format ~= FORMAT or not is_list(found.files) then
        refuse(path, 'it is damaged: copy the back-up again, with all of its files')
    end
    return found
end

-- Returns what keeps a file from having this size, or nil.
local function fault(path, size)
    local there = fio.stat(path)
    if there == nil or not there:is_reg() then
        return 'it is missing'
    elseif size ~= nil and there.size ~= size then
        return ('it has %s bytes instead of %s'):format(there.size, size)
    end
end

-- Which files the start of a restore needs: those of the data. Keys are retired anyway.
local function needed(file)
    return not file.name:match('%.pem$')
end

-- Tarantool appends to the files .vylog when it opens the data.
local function size_at_start(file)
    return not file.name:match('%.vylog$') and file.size or nil
end

-- Whether this directory of data was filled from a back-up, and the restore has not been noted yet. Raises an error if
-- a file of the back-up is missing, because Tarantool would make an empty database, or if there are snapshots of
-- something else, because Tarantool opens the newest one.
local function is_restored(directory)
    if not fio.path.lexists(fio.pathjoin(directory, NAME)) then
        if fio.path.lexists(fio.pathjoin(directory, DRAFT)) then
            refuse(fio.pathjoin(directory, DRAFT), 'the back-up that was copied here was cut short: take another one')
        end
        return false
    end
    local own, has_snapshot = {}, false
    for _, file in ipairs(read(directory).files) do
        own[file.name] = true
        has_snapshot = has_snapshot or file.name:match('%.snap$') ~= nil
        local path = fio.pathjoin(directory, file.name)
        local what = needed(file) and fault(path, size_at_start(file))
        if what then
            refuse(path, ('%s, but %s names it: copy the back-up again, with all of its files, into an empty '
                .. 'directory'):format(what, NAME))
        end
    end
    if not has_snapshot then
        refuse(fio.pathjoin(directory, NAME), 'it names no snapshot: take another back-up')
    end
    for _, name in ipairs(names_in(directory)) do
        if name:match('%.snap$') and not own[name] then
            refuse(directory, ('%s is not of the back-up that was restored here: restore it into an empty directory; '
                .. 'or remove %s, start, and call authkv.restored()'):format(name, NAME))
        end
    end
    return true
end

-- Notes that it has been.
local function note_restored(directory)
    local path = fio.pathjoin(directory, NAME)
    local removed, why = fio.unlink(path)
    if not removed then
        log.error('authkv: cannot remove %s: %s; the next start would end all tokens again', path, why)
    end
    sync_directory(directory)
end

return {
    refuse = refuse,
    read_file = read_file,
    sync_directory = sync_directory,
    names_in = names_in,
    read = read,
    fault = fault,
    is_restored = is_restored,
    note_restored = note_restored,
    NAME = NAME,
    DRAFT = DRAFT,
    FORMAT = FORMAT,
}
