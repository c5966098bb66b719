-- Where the settings of init.lua come from. Later ones override earlier ones: a layout, the file that AUTHKV_CONFIG
-- names, the environment. A secret may be in a file of its own.

local fio = require('fio')
local utf8 = require('utf8')

local config_file = require('authkv.config_file')
local kubernetes = require('authkv.kubernetes')
local native = require('authkv.native')

-- The content of a file with a secret, without the line ends that editors and commands add.
local function secret_in(variable, path)
    local MAX = 65536
    local file, err = io.open(path, 'rb')
    local text
    if file ~= nil then
        text, err = file:read(MAX + 1)
        file:close()
    end
    if text == nil then
        error(('cannot read %s, which is %s: %s'):format(path, variable, err or 'it is empty'), 0)
    end
    if #text > MAX or utf8.len(text) == nil then
        error(('%s, which is %s, should be a text of at most %d bytes'):format(path, variable, MAX), 0)
    end
    text = text:gsub('[\r\n]+$', '')
    if text == '' then
        error(('cannot read %s, which is %s: it is empty'):format(path, variable), 0)
    end
    return text
end

-- Puts settings over those of an earlier source. `origin` says where they come from. ADMIN_PASSWORD_FILE is the path of
-- a file with ADMIN_PASSWORD.
local function put(all, settings, origin, prefix)
    for _, secret in ipairs(native.secrets()) do
        local variable, path = ('%s%s_FILE'):format(prefix, secret), settings[secret .. '_FILE']
        if path ~= nil and settings[secret] ~= nil then
            error(('%s%s and %s are both given'):format(prefix, secret, variable), 0)
        end
        if path ~= nil or settings[secret] ~= nil then
            all.settings[secret], all.settings[secret .. '_FILE'] = nil, nil
            all.variables[secret] = path and variable
        end
    end
    for name, text in pairs(settings) do
        all.settings[name], all.from[name] = text, origin
    end
end

-- Replaces the paths of files with secrets by their contents. What has been read from a pipe is kept in `piped`: it
-- comes once, and waiting for more would stop a running instance.
local function read_secrets(all, piped)
    for _, secret in ipairs(native.secrets()) do
        local path = all.settings[secret .. '_FILE']
        if path ~= nil then
            local stat = piped[path] == nil and fio.stat(path) or nil
            local text = piped[path] or secret_in(all.variables[secret], path)
            if stat ~= nil and not stat:is_reg() then
                piped[path] = text
            end
            all.settings[secret] = text
            all.from[secret] = 'secret file ' .. path
            all.settings[secret .. '_FILE'] = nil
        end
    end
end

-- The settings in the environment, and the names of variables that were ignored because Kubernetes set them.
local function of_environment(environment)
    local given, left_out = {}, {}
    for name, value in pairs(environment) do
        local setting = name:match('^AUTHKV_(.*)$')
        if setting ~= nil and kubernetes.has_set(name, value) then
            table.insert(left_out, name)
            setting = nil
        end
        if setting ~= nil and utf8.len(value) == nil then
            error(name .. ' should be valid UTF-8', 0)
        end
        -- An empty variable counts as missing, as in a compose file.
        if setting ~= nil and value ~= '' then
            given[setting] = value
        end
    end
    table.sort(left_out)
    return given, left_out
end

-- Adds the file to an error about a setting that comes from it.
local function explain(err, from)
    local name = tostring(err):match('^AUTHKV_([%w_]+)')
    local path = name and (from[name] or ''):match('^file (.*)$')
    return path and ('%s (%s in %s)'):format(err, name, path) or err
end

local function has_secret(settings)
    for _, secret in ipairs(native.secrets()) do
        if settings[secret] ~= nil then
            return true
        end
    end
    return false
end

-- `environment` has the variables by name, `here` is the directory of init.lua. Returns a function that reads all
-- sources and returns `settings`, the texts by name; `from`, where each comes from; `left_out`, names of variables of
-- Kubernetes;
-- `warnings`. It raises what is wrong.
local function new(environment, here)
    local piped = {}
    return function()
        local given, left_out = of_environment(environment)
        local path, in_file, warnings = given.CONFIG, {}, {}
        given.CONFIG = nil
        if path ~= nil then
            in_file = config_file.read(path)
            if has_secret(in_file) and config_file.is_readable_by_others(path) then
                table.insert(warnings, ('%s has a secret, and everybody may read it: chmod o-r %s'):format(path, path))
            end
        end
        local all = {settings = {}, from = {}, variables = {}}
        local name = given.LAYOUT or in_file.LAYOUT or 'single'
        local layout = ('%s/tarantool_infra/layouts/%s.lua'):format(here, name)
        if name:match('^[%w_]+$') and fio.path.exists(layout) then
            put(all, dofile(layout), 'layout ' .. name, '')
        end
        put(all, in_file, 'file ' .. tostring(path), ('%s: '):format(path))
        put(all, given, 'environment', 'AUTHKV_')
        read_secrets(all, piped)
        return {settings = all.settings, from = all.from, left_out = left_out, warnings = warnings}
    end
end

-- The settings of a table by name, with the secrets that are in files, and where each comes from: `origin`, or its
-- file. Raises what is wrong.
local function of_table(given, origin)
    local all = {settings = {}, from = {}, variables = {}}
    put(all, given, origin, '')
    read_secrets(all, {})
    return all.settings, all.from
end

return {new = new, explain = explain, of_table = of_table}
