-- The file of the library, and its copy. Tarantool copies a library to the directory for temporary files before it
-- loads it: TMPDIR, or /tmp. On a full disk there is no room for the copy.

local fio = require('fio')
local log = require('log')

-- File systems in memory, which are not full if the disk is.
local IN_MEMORY = {'/dev/shm', '/run'}
local setenv = os.setenv -- luacheck: ignore

local function lacks_room(err)
    local text = tostring(err):lower()
    return text:find('failed to copy dso', 1, true) ~= nil or text:find('unique dir name', 1, true) ~= nil
end

-- Calls `body`, which loads a library, and calls it again with another directory if there was no room for the copy.
-- Returns what pcall returns.
local function load(body)
    local ok, result = pcall(body)
    local before = os.getenv('TMPDIR')
    for _, directory in ipairs(IN_MEMORY) do
        if ok or not lacks_room(result) then
            break
        end
        setenv('TMPDIR', directory)
        ok, result = pcall(body)
        setenv('TMPDIR', before)
        if ok then
            log.warn('authkv: the directory for temporary files has no room for a copy of the library: it is in %s',
                directory)
        end
    end
    return ok, result
end

-- Whether the library in the file system is of this build. Otherwise, and if nobody can say, false. Yields.
local function is_on_disk(build)
    local PAGE = 4096
    -- Tarantool searches for the library in this way too.
    local path = build and package.search('authkv')
    local file = path and fio.open(path, {'O_RDONLY'})
    if not file then
        return false
    end
    local head = file:pread(PAGE, 0)
    file:close()
    return head ~= nil and head:hex():find(build, 1, true) ~= nil
end

return {load = load, is_on_disk = is_on_disk}
