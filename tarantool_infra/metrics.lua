-- Metrics between authkv and Tarantool: the numbers that only Lua has, and Tarantool's module `metrics` both ways.
-- authkv never loads the module, and uses it if it is loaded. A Tarantool that has it built in has it loaded.

local fiber = require('fiber')
local log = require('log')

local native = require('authkv.native')

local MAP = {__serialize = 'map'}
local ARRAY = {__serialize = 'array'}

-- The families of the last callback, by name.
local families = {}
-- Set in the storage of a fiber while authkv reads the module in it.
local READING = 'authkv.reads_metrics'

-- The module `metrics`, if it is loaded.
local function module()
    local loaded = package.loaded.metrics
    return type(loaded) == 'table' and loaded.registry and loaded.collectors and loaded
end

-- Numbers of Tarantool that authkv tells as its own metrics.
local function facts()
    local info, slab = box.info, box.slab.info()
    local upstreams = setmetatable({}, ARRAY)
    for _, other in pairs(info.replication) do
        local upstream = other.upstream
        if upstream then
            table.insert(upstreams, {
                id = other.id,
                connected = upstream.status == 'follow' or upstream.status == 'sync',
                lag = tonumber(upstream.lag),
                idle = tonumber(upstream.idle),
            })
        end
    end
    return {
        lsn = math.max(0, tonumber(info.lsn)),
        memtx = tonumber(slab.arena_used),
        memtx_max = tonumber(slab.quota_size),
        lua = collectgarbage('count') * 1024,
        upstreams = upstreams,
    }
end

local function copy_labels(labels)
    local copied = setmetatable({}, MAP)
    for name, value in pairs(labels or {}) do
        copied[tostring(name)] = tostring(value)
    end
    return copied
end

-- The family of the numbers that have this name.
local function numbers(name, kind, help, observations)
    local samples = setmetatable({}, ARRAY)
    for _, one in ipairs(observations) do
        local value = tonumber(one.value)
        if one.metric_name == name and value ~= nil then
            table.insert(samples, {labels = copy_labels(one.label_pairs), value = value})
        end
    end
    return {name = name, type = kind, help = help, samples = samples}
end

local KINDS = {counter = 'counter', gauge = 'gauge'}

-- A histogram: the observations of each set of labels together.
local function histogram(collector, observations)
    local samples, known = setmetatable({}, ARRAY), {}
    for _, one in ipairs(observations) do
        local labels, parts = setmetatable({}, MAP), {}
        for name, value in pairs(one.label_pairs or {}) do
            if name ~= 'le' then
                labels[tostring(name)] = tostring(value)
                table.insert(parts, tostring(name) .. '=' .. tostring(value))
            end
        end
        table.sort(parts)
        local key = table.concat(parts, '\0')
        local sample = known[key]
        if sample == nil then
            sample = {labels = labels, count = 0, sum = 0, buckets = setmetatable({}, ARRAY)}
            known[key] = sample
            table.insert(samples, sample)
        end
        local value, bound = tonumber(one.value), one.label_pairs and tonumber(one.label_pairs.le)
        if one.metric_name == collector.name .. '_sum' then
            sample.sum = value
        elseif one.metric_name == collector.name .. '_count' then
            sample.count = value
        elseif bound ~= nil and bound < math.huge then
            table.insert(sample.buckets, {le = bound, count = value})
        end
    end
    for _, sample in ipairs(samples) do
        table.sort(sample.buckets, function(a, b) return a.le < b.le end)
    end
    return {name = collector.name, type = 'histogram', help = collector.help or '', samples = samples}
end

-- Adds the families of a collector of the module.
local function add(to, collector)
    local observations, name, help = collector:collect(), collector.name, collector.help or ''
    if collector.kind == 'histogram' then
        table.insert(to, histogram(collector, observations))
    elseif KINDS[collector.kind] then
        table.insert(to, numbers(name, KINDS[collector.kind], help, observations))
    else
        for _, suffix in ipairs({'', '_sum', '_count'}) do
            table.insert(to, numbers(name .. suffix, 'untyped', help, observations))
        end
    end
end

-- Collectors of authkv, as the module has them.
local Collector = {}
Collector.__index = Collector

function Collector:set_registry(registry)
    self.registry = registry
end

function Collector:collect()
    local family, observations = families[self.name], {}
    local function observe(suffix, labels, value, le)
        local all = {}
        for name, of in pairs(self.registry and self.registry.label_pairs or {}) do
            all[name] = of
        end
        for name, of in pairs(labels) do
            all[name] = of
        end
        all.le = le
        table.insert(observations, {
            metric_name = self.name .. suffix, label_pairs = all, value = value,
            timestamp = fiber.time64(), metainfo = self.metainfo,
        })
    end
    for _, sample in ipairs(family and family.samples or {}) do
        if sample.buckets == nil then
            observe('', sample.labels, sample.value)
        else
            observe('_count', sample.labels, sample.count)
            observe('_sum', sample.labels, sample.sum)
            for _, bucket in ipairs(sample.buckets) do
                observe('_bucket', sample.labels, bucket.count, bucket.le)
            end
            observe('_bucket', sample.labels, sample.count, math.huge)
        end
    end
    return observations
end

-- Reads authkv's metrics before the module tells them. A failure leaves out authkv's metrics only, because the module
-- would tell nothing at all if its callback raised an error.
local function refresh()
    if fiber.self().storage[READING] then
        return
    end
    families = {}
    -- An application may tell metrics in the session of any user.
    local ok, told = pcall(box.session.su, 'admin', require('authkv').metrics)
    if not ok then
        log.warn('authkv: its metrics cannot be told to the module metrics: %s', told)
        return
    end
    for _, family in ipairs(told and told.metrics or {}) do
        families[family.name] = family
    end
end

-- Registers authkv's metrics with the module, if that is loaded and does not have them.
local function register()
    local metrics = module()
    if not metrics or metrics.registry.callbacks[refresh] then
        return
    end
    for _, row in ipairs(native.metrics()) do
        local name, kind, help = row[1], row[2], row[3]
        if not metrics.registry:find(kind, name) then
            local collector = {name = name, kind = kind, help = help, metainfo = {}}
            metrics.registry:register(setmetatable(collector, Collector))
        end
    end
    metrics.register_callback(refresh)
end

-- The families of the module, except for those of authkv.
local function of_tarantool()
    local metrics, found = module(), setmetatable({}, ARRAY)
    if not metrics then
        return found
    end
    -- It may have been loaded after the start.
    register()
    local storage = fiber.self().storage
    storage[READING] = true
    local ok, err = pcall(metrics.invoke_callbacks)
    storage[READING] = nil
    if not ok then
        error(err, 0)
    end
    for _, collector in pairs(metrics.collectors()) do
        if getmetatable(collector) ~= Collector then
            add(found, collector)
        end
    end
    return found
end

return {facts = facts, of_tarantool = of_tarantool, register = register}
