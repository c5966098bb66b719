-- Exports and imports of the console: files of pairs, one per line. The library makes and reads the text, off the tx
-- thread. This file handles the files, which `fio` reads and writes in threads of its own.

local fiber = require('fiber')
local fio = require('fio')
local uuid = require('uuid')

-- How many bytes of a file are read at a time.
local PIECE = 1048576

-- Seconds between two reports of progress.
local INTERVAL = 1

local USAGE = {
    export = 'usage: authkv.export(file, {prefix = })',
    import = 'usage: authkv.import(file, {mode = })',
}

-- Checks the options and returns them. Raises the usage of the command if they are wrong.
local function check(command, file, options, name)
    options = options == nil and {} or options
    local ok = type(file) == 'string' and file ~= '' and not file:find('%z') and type(options) == 'table'
    for option, value in pairs(ok and options or {}) do
        ok = ok and option == name and (value == nil or type(value) == 'string')
    end
    if not ok then
        error(USAGE[command], 3)
    end
    return options
end

-- Reports progress to the console: by pushes to a remote one, else in a line that is rewritten.
local function teller()
    local kind, due, is_shown = box.session.type(), fiber.clock() + INTERVAL, false
    local function tell(format, count)
        if fiber.clock() < due then
            return
        end
        due = fiber.clock() + INTERVAL
        if kind == 'console' then
            -- Newer versions deprecate `push`, which may raise an error there.
            pcall(box.session.push, format:format(count))
        elseif kind == 'repl' then
            io.write('\r', format:format(count))
            io.flush()
            is_shown = true
        end
    end
    local function finish()
        if is_shown then
            io.write('\n')
        end
    end
    return tell, finish
end

local function file_error(file, err)
    return {code = box.error.SYSTEM, name = 'system_error', message = ('%s: %s'):format(file, err)}
end

-- `call` and `failure` come from the facade.
local function new(call, failure)
    -- Writes all pages to an open file. Returns the number of pairs, or nil and the error.
    local function write_pages(handle, file, prefix, tell)
        local count, after = 0, box.NULL
        repeat
            local page, err = call('export_page', prefix, after)
            if page == nil then
                return nil, err
            end
            local ok, why = handle:write(page.text)
            if not ok then
                return nil, failure(file_error(file, why))
            end
            count, after = count + page.pairs, page.next
            tell('%d pairs exported', count)
        until after == nil
        return count
    end

    -- Imports a file piece by piece. Returns the counts of its lines, or nil and the error.
    local function read_pieces(handle, file, mode, tell)
        local counts, text, line = {}, '', 1
        repeat
            local piece, why = handle:read(PIECE)
            if piece == nil then
                return nil, failure(file_error(file, why))
            end
            local is_last = piece == ''
            local result, err = call('import_lines', {
                text = text .. piece, mode = mode or box.NULL, line = line, is_last = is_last,
            })
            if result == nil then
                return nil, err
            end
            for name, count in pairs(result.counts) do
                counts[name] = (counts[name] or 0) + count
            end
            if result.error ~= nil then
                result.error.done = counts
                return nil, failure(result.error)
            end
            text, line = (text .. piece):sub(result.used + 1), result.line
            tell('%d lines imported', counts.lines)
        until is_last
        return counts
    end

    -- The file gets its name at the end, so it is whole or missing.
    local function export(file, options)
        local prefix = check('export', file, options, 'prefix').prefix or ''
        local there = fio.stat(file)
        if there ~= nil and not there:is_reg() then
            return nil, failure(file_error(file, 'it is there and no regular file'))
        end
        local temporary = ('%s.%s.tmp'):format(file, uuid.str())
        local handle, why = fio.open(temporary, {'O_WRONLY', 'O_CREAT', 'O_EXCL'}, tonumber('600', 8))
        if handle == nil then
            return nil, failure(file_error(file, why))
        end
        local tell, finish = teller()
        local ok, count, err = pcall(write_pages, handle, file, prefix, tell)
        finish()
        if ok and count ~= nil then
            local done
            done, why = handle:fsync()
            if done then
                done, why = fio.rename(temporary, file)
            end
            if not done then
                count, err = nil, failure(file_error(file, why))
            end
        end
        handle:close()
        if not ok or count == nil then
            fio.unlink(temporary)
        end
        if not ok then
            error(count, 0)
        end
        if count == nil then
            return nil, err
        end
        return {pairs = count}
    end

    local function import(file, options)
        local mode = check('import', file, options, 'mode').mode
        -- Opening a pipe, for example, could block for ever.
        local there = fio.stat(file)
        if there ~= nil and not there:is_reg() then
            return nil, failure(file_error(file, 'it is no regular file'))
        end
        local handle, why = fio.open(file, {'O_RDONLY'})
        if handle == nil then
            return nil, failure(file_error(file, why))
        end
        local tell, finish = teller()
        local ok, counts, err = pcall(read_pieces, handle, file, mode, tell)
        finish()
        handle:close()
        if not ok then
            error(counts, 0)
        end
        if counts == nil then
            return nil, err
        end
        return counts
    end

    return {export = export, import = import}
end

return {new = new}
