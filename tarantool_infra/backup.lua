-- Back-ups of a running instance: the files of a checkpoint, which Tarantool does not change meanwhile, and on request
-- the keys. The manifest is written last, so a back-up without it is not whole. See documentation/backup.md.

local crypto = require('crypto')
local errno = require('errno')
local fiber = require('fiber')
local fio = require('fio')
local json = require('json')
local log = require('log')

local MANIFEST = 'authkv-backup.json'
local FORMAT = 1

-- How many bytes are read at a time. Their digest is made on the tx thread, in a fraction of a millisecond.
local PIECE = 262144

-- Seconds between two looks at a checkpoint that something else has begun.
local PAUSE = 0.1

local OWNER_ONLY = tonumber('600', 8)
local DIRECTORY = tonumber('700', 8)

local USAGE = 'usage: authkv.backup(directory, {keys = true})'

-- Raises what is wrong with a file.
local function refuse(path, what)
    error(('%s: %s'):format(path, tostring(what)), 0)
end

-- Passes a file in pieces to `take`. Returns its size and SHA-256. Raises what is wrong with it.
local function read(path, take)
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

-- Makes a file that lasts, or raises what is wrong. `fill` gets a function that writes.
local function write(path, fill)
    local handle, why = fio.open(path, {'O_WRONLY', 'O_CREAT', 'O_EXCL'}, OWNER_ONLY)
    if handle == nil then
        refuse(path, why)
    end
    local size = 0
    local ok, err = pcall(function()
        fill(function(piece)
            local written, reason = handle:write(piece)
            if not written then
                refuse(path, reason)
            end
            size = size + #piece
        end)
        local synced, reason = handle:fsync()
        if not synced then
            refuse(path, reason)
        end
        -- Tarantool does not say if only a part of a piece was written.
        if handle:stat().size ~= size then
            refuse(path, errno.strerror(errno.ENOSPC))
        end
    end)
    handle:close()
    if not ok then
        error(err, 0)
    end
end

local function sync_directory(path)
    local handle = fio.open(path, {'O_RDONLY'})
    if handle ~= nil then
        handle:fsync()
        handle:close()
    end
end

-- Makes a directory with those above it, or raises what is wrong.
local function make_directory(path)
    local made, why = fio.mktree(path, DIRECTORY)
    if not made then
        refuse(path, why)
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

-- Makes sure of an empty directory. Returns whether it was made.
local function open_directory(path)
    if fio.lstat(path) == nil then
        make_directory(path)
        return true
    end
    if #names_in(path) > 0 then
        refuse(path, 'it is not empty: each back-up needs a directory of its own')
    end
    return false
end

-- Empties a directory of a back-up that failed, and removes it if the back-up has made it.
local function clear(path, is_new)
    for _, name in ipairs(names_in(path)) do
        local inside = fio.pathjoin(path, name)
        if fio.path.is_dir(inside) then
            fio.rmtree(inside)
        else
            fio.unlink(inside)
        end
    end
    if is_new then
        fio.rmdir(path)
    end
end

-- Makes a checkpoint with everything that was written before. Waits while something else makes one.
local function make_checkpoint()
    repeat
        local ok, err = pcall(box.snapshot)
        local is_taken = not ok and type(err) == 'cdata' and err.code == box.error.CHECKPOINT_IN_PROGRESS
        if not ok and not is_taken then
            error('the checkpoint failed: ' .. tostring(err), 0)
        elseif is_taken then
            fiber.sleep(PAUSE)
        end
    until ok
end

-- The name of a file of a checkpoint in the back-up: its path below the directory of Tarantool that it is in.
local function name_of(path)
    for _, directory in ipairs({box.cfg.memtx_dir, box.cfg.wal_dir, box.cfg.vinyl_dir}) do
        local prefix = (directory:gsub('/*$', '/'))
        if path:sub(1, #prefix) == prefix then
            return path:sub(#prefix + 1)
        end
    end
    return fio.basename(path)
end

-- Adds the files of keys to a list of {name, path}.
local function add_keys(list, sources)
    for name, path in pairs(sources) do
        if fio.path.is_dir(path) then
            for _, key in ipairs(names_in(path)) do
                if key:match('%.pem$') then
                    table.insert(list, {fio.pathjoin(name, key), fio.pathjoin(path, key)})
                end
            end
        elseif fio.path.exists(path) then
            table.insert(list, {name, path})
        end
    end
end

-- Copies files into a directory. Returns their names, sizes and digests.
local function copy(list, directory)
    local files = {}
    for _, one in ipairs(list) do
        local name, from = unpack(one)
        local to = fio.pathjoin(directory, name)
        make_directory(fio.dirname(to))
        write(to, function(put)
            local size, digest = read(from, put)
            table.insert(files, {name = name, size = size, sha256 = digest})
        end)
        sync_directory(fio.dirname(to))
    end
    return files
end

-- The number of this name in the space authkv_sequence, or nil.
local function sequence(name)
    local tuple = box.space.authkv_sequence and box.space.authkv_sequence:get(name)
    return tuple and tuple[2]
end

-- Copies these files of a checkpoint, and those of keys if they are given, into the directory. Returns the manifest.
local function fill(directory, paths, keys)
    local list = {}
    for _, path in ipairs(paths) do
        table.insert(list, {name_of(path), path})
    end
    add_keys(list, keys or {})
    local version = box.space._schema:get('authkv')
    local manifest = {
        format = FORMAT,
        made_at = os.date('!%Y-%m-%dT%H:%M:%SZ', math.floor(fiber.time())),
        tarantool = _TARANTOOL,
        schema = version and version[2],
        instance = box.info.uuid,
        -- The last one, so those of the pairs in the back-up are not higher.
        revision = sequence('kv'),
        keys = keys ~= nil,
        files = copy(list, directory),
    }
    local path = fio.pathjoin(directory, MANIFEST)
    local draft = path .. '.new'
    write(draft, function(put)
        put(json.encode(manifest) .. '\n')
    end)
    local renamed, why = fio.rename(draft, path)
    if not renamed then
        refuse(path, why)
    end
    sync_directory(directory)
    return manifest
end

-- Whether this directory of data was filled from a back-up, and the restore has not been noted yet. Raises an error if
-- it has snapshots of something else, because Tarantool opens the newest one.
local function is_restored(directory)
    local path = fio.pathjoin(directory, MANIFEST)
    if not fio.path.exists(path) then
        return false
    end
    local text = {}
    read(path, function(piece)
        table.insert(text, piece)
    end)
    local own = {}
    for _, file in ipairs(json.decode(table.concat(text)).files) do
        own[file.name] = true
    end
    for _, name in ipairs(names_in(directory)) do
        if name:match('%.snap$') and not own[name] then
            refuse(directory, ('%s is not of the back-up that was restored here: restore it into an empty directory; '
                .. 'or remove %s, start, and call authkv.restored()'):format(name, MANIFEST))
        end
    end
    return true
end

-- Notes that it has been.
local function note_restored(directory)
    local path = fio.pathjoin(directory, MANIFEST)
    local removed, why = fio.unlink(path)
    if not removed then
        log.error('authkv: cannot remove %s: %s; the next start would end all tokens again', path, why)
    end
    sync_directory(directory)
end

-- `call` and `failure` come from the facade.
local function new(call, failure)
    local is_running = false

    local function failed(what)
        return nil, failure({code = box.error.SYSTEM, name = 'backup_failed', message = what})
    end

    -- Makes a back-up in an empty directory, which is made if it is missing. Returns what is in it, or nil and the
    -- error; then nothing is left in the directory.
    local function backup(directory, options)
        options = options == nil and {} or options
        local ok = type(directory) == 'string' and directory ~= '' and not directory:find('%z')
            and type(options) == 'table'
        for name, value in pairs(ok and options or {}) do
            ok = ok and name == 'keys' and type(value) == 'boolean'
        end
        if not ok then
            error(USAGE, 2)
        end
        if directory:sub(1, 1) ~= '/' then
            return failed(directory .. ': the directory should be an absolute path')
        elseif is_running then
            return failed('another back-up is being made')
        end
        local keys, err
        if options.keys then
            keys, err = call('key_files')
            if keys == nil then
                return nil, err
            end
        end
        is_running = true
        local is_open, is_new, has_begun, manifest = false, false, false, nil
        ok, err = pcall(function()
            is_new = open_directory(directory)
            is_open = true
            make_checkpoint()
            local paths = box.backup.start()
            has_begun = true
            manifest = fill(directory, paths, keys)
        end)
        if has_begun then
            box.backup.stop()
        end
        if not ok and is_open then
            pcall(clear, directory, is_new)
        end
        is_running = false
        if not ok then
            return failed(tostring(err))
        end
        local bytes = 0
        for _, file in ipairs(manifest.files) do
            bytes = bytes + file.size
        end
        return {
            directory = directory, files = #manifest.files, bytes = bytes, keys = manifest.keys,
            revision = manifest.revision, made_at = manifest.made_at,
        }
    end

    return backup
end

return {
    new = new,
    read = read,
    is_restored = is_restored,
    note_restored = note_restored,
    MANIFEST = MANIFEST,
    FORMAT = FORMAT,
}
