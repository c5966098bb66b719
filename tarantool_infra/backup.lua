-- Back-ups of a running instance: the files of a checkpoint, which Tarantool does not change meanwhile, and on request
-- the keys. The manifest is written last, so a back-up without it is not whole. See documentation/backup.md.

local errno = require('errno')
local fiber = require('fiber')
local fio = require('fio')
local json = require('json')

local manifests = require('authkv.manifest')

local refuse, names_in, sync_directory = manifests.refuse, manifests.names_in, manifests.sync_directory

-- Seconds between two looks at a checkpoint that something else has begun.
local PAUSE = 0.1

local OWNER_ONLY = tonumber('600', 8)
local DIRECTORY = tonumber('700', 8)

local USAGE = 'usage: authkv.backup(directory, {keys = true})'

-- Makes a file that is not there yet. Returns its handle, or nil and what is wrong.
local function create(path)
    return fio.open(path, {'O_WRONLY', 'O_CREAT', 'O_EXCL'}, OWNER_ONLY)
end

-- Fills a new file so that it lasts, and closes it. Raises what is wrong. `fill` gets a function that writes.
local function write(path, handle, fill)
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

-- Makes a directory with those above it, or raises what is wrong.
local function make_directory(path)
    local made, why = fio.mktree(path, DIRECTORY)
    if not made then
        refuse(path, why)
    end
end

local TAKEN = 'another back-up is being made in this directory, or was cut short there: '
    .. 'each back-up needs a directory of its own'
local NOT_EMPTY = 'it is not empty: each back-up needs a directory of its own'

-- Raises an error if something in a directory is none of these.
local function check_others(path, own)
    for _, name in ipairs(names_in(path)) do
        if not own[name] then
            refuse(path, name == manifests.DRAFT and TAKEN or NOT_EMPTY)
        end
    end
end

-- Notes that the back-up has made a file or directory in its directory.
local function note(place, name)
    local there = fio.lstat(fio.pathjoin(place.directory, name))
    place.own[name] = there and there.inode
end

-- Removes what a back-up that failed has made in its directory, and the directory if the back-up has made that. What
-- others have put there instead stays.
local function clear(place)
    for name, inode in pairs(place.own) do
        local inside = fio.pathjoin(place.directory, name)
        local there = fio.lstat(inside)
        if there ~= nil and there.inode == inode then
            if there:is_dir() then
                fio.rmtree(inside)
            else
                fio.unlink(inside)
            end
        end
    end
    if place.is_new then
        fio.rmdir(place.directory)
    end
end

-- Takes an empty directory, which is made if it is missing, for one back-up: other instances see the draft of the
-- manifest. Returns `own`, what the back-up makes there (inodes by name), and the open draft.
local function take(directory)
    local place = {directory = directory, is_new = fio.lstat(directory) == nil, own = {}}
    if place.is_new then
        make_directory(directory)
    end
    check_others(directory, {})
    place.draft_path = fio.pathjoin(directory, manifests.DRAFT)
    local why
    place.draft, why = create(place.draft_path)
    if place.draft == nil then
        if fio.path.lexists(place.draft_path) then
            refuse(directory, TAKEN)
        end
        if place.is_new then
            fio.rmdir(directory)
        end
        refuse(place.draft_path, why)
    end
    place.own[manifests.DRAFT] = place.draft:stat().inode
    -- Another one may have come in between.
    local ok, err = pcall(check_others, directory, place.own)
    if not ok then
        place.draft:close()
        clear(place)
        error(err, 0)
    end
    return place
end

-- Raises an error if the directory is not what it was when it was taken.
local function check_place(place)
    local there = fio.lstat(place.draft_path)
    if there == nil or there.inode ~= place.own[manifests.DRAFT] then
        place.is_new = false
        refuse(place.directory, 'it was removed, moved or replaced while the back-up was being made')
    end
    check_others(place.directory, place.own)
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

-- Copies files into the directory of a back-up. Returns their names, sizes and digests.
local function copy(list, place)
    local files = {}
    for _, one in ipairs(list) do
        local name, from = unpack(one)
        local to = fio.pathjoin(place.directory, name)
        local top = name:match('^[^/]+')
        if not place.own[top] and fio.path.lexists(fio.pathjoin(place.directory, top)) then
            refuse(place.directory, NOT_EMPTY)
        end
        if top ~= name then
            make_directory(fio.dirname(to))
            note(place, top)
        end
        local handle, why = create(to)
        if handle == nil then
            refuse(to, why)
        end
        note(place, top)
        write(to, handle, function(put)
            local size, digest = manifests.read_file(from, put)
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

-- Copies these files of a checkpoint, and those of keys if they are given, into the place. Returns the manifest.
local function fill(place, paths, keys)
    local list = {}
    for _, path in ipairs(paths) do
        table.insert(list, {name_of(path), path})
    end
    add_keys(list, keys or {})
    local version = box.space._schema:get('authkv')
    local manifest = {
        format = manifests.FORMAT,
        made_at = os.date('!%Y-%m-%dT%H:%M:%SZ', math.floor(fiber.time())),
        tarantool = _TARANTOOL,
        schema = version and version[2],
        instance = box.info.uuid,
        -- The last one, so those of the pairs in the back-up are not higher.
        revision = sequence('kv'),
        keys = keys ~= nil,
        files = copy(list, place),
    }
    local draft = place.draft
    place.draft = nil
    write(place.draft_path, draft, function(put)
        put(json.encode(manifest) .. '\n')
    end)
    check_place(place)
    local renamed, why = fio.rename(place.draft_path, fio.pathjoin(place.directory, manifests.NAME))
    if not renamed then
        refuse(place.draft_path, why)
    end
    sync_directory(place.directory)
    return manifest
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
        elseif (directory .. '/'):find('/../', 1, true) then
            return failed(directory .. ': the path of the directory should have no ..')
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
        local place, has_begun, manifest = nil, false, nil
        ok, err = pcall(function()
            place = take(directory)
            make_checkpoint()
            local paths = box.backup.start()
            has_begun = true
            manifest = fill(place, paths, keys)
        end)
        if has_begun then
            box.backup.stop()
        end
        if place ~= nil and place.draft ~= nil then
            place.draft:close()
        end
        if not ok and place ~= nil then
            pcall(clear, place)
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

return {new = new}
