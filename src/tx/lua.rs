//! `require('authkv')`: the Lua code inside this library, and the check of the settings.
//!
//! The Lua code cannot be a file of that name on `package.path`: Tarantool would take the file for the library when it looks
//! for `authkv.auth_login`. `require` loads another image of the library than the procedures use, with its own statics. So
//! nothing here keeps state.

use super::{log, Tx};
use authkv_base::error::Error;
use authkv_base::guard::guard;
use authkv_command::{Cluster, Function, Operation};
use authkv_config::{secrets, Config, TakesEffect, SETTINGS};
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use ring::rand::{SecureRandom, SystemRandom};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use tlua::{AnyLuaString, AsTable, LuaState, PushInto};

type Checked = (Option<HashMap<&'static str, String>>, Option<String>);

/// Checks settings by name, without the prefix. Returns the values that `init.lua` needs, or nil and the error.
fn check_settings(given: HashMap<String, String>) -> Checked {
    let checked = guard(|| Ok(Config::new(given.into_iter().collect::<BTreeMap<_, _>>())));
    match checked {
        Ok(Ok(config)) => (Some(config.for_lua().into_iter().collect()), None),
        Ok(Err(what)) => (None, Some(what)),
        Err(error) => (None, Some(error.to_string())),
    }
}

/// The table of settings: rows of name, default, meaning, and the word for when a change takes effect.
fn settings() -> Vec<Vec<&'static str>> {
    let row = |(name, default, meaning, takes_effect): &(_, _, _, TakesEffect)| {
        vec![*name, *default, *meaning, takes_effect.word()]
    };
    SETTINGS.iter().map(row).collect()
}

/// The names of the settings that are options of `box.cfg` and change at run time.
fn options() -> Vec<&'static str> {
    let is_option = |row: &&(_, _, _, TakesEffect)| row.3 == TakesEffect::Options;
    SETTINGS.iter().filter(is_option).map(|row| row.0).collect()
}

/// The values in force of settings that are valid, without secrets: rows of name and value.
fn in_force(given: HashMap<String, String>) -> Option<Vec<Vec<String>>> {
    let given: BTreeMap<_, _> = given.into_iter().collect();
    let shown = guard(|| Ok(Config::new(given.clone()).map(|config| config.shown(&given))));
    let row = |(name, value): (&str, String)| vec![name.to_owned(), value];
    let rows = shown.ok()?.ok()?;
    Some(rows.into_iter().map(row).collect())
}

/// The version of this library.
fn version_of_authkv() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// An operation of the table, for Lua.
#[derive(PushInto)]
struct LuaOperation {
    name: &'static str,
    takes_token: bool,
    summary: &'static str,
    functions: Vec<LuaFunction>,
}

/// A function of the console, for Lua.
#[derive(PushInto)]
struct LuaFunction {
    name: &'static str,
    caller: &'static str,
    arguments: Vec<&'static str>,
    takes_table: bool,
}

/// A new secret for the data: 32 random bytes in Base64url. `None` if the system has no random bytes. Any thread.
pub fn draw_secret() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// The table of operations.
fn operations() -> Vec<LuaOperation> {
    let function = |function: &Function| LuaFunction {
        name: function.name,
        caller: function.caller.name(),
        arguments: function.arguments.to_vec(),
        takes_table: function.takes_table,
    };
    let operation = |operation: &Operation| {
        let row = operation.row();
        LuaOperation {
            name: row.name,
            takes_token: operation.takes_token(),
            summary: row.endpoints.first().map_or("", |first| first.summary),
            functions: row.console.iter().map(function).collect(),
        }
    };
    Operation::ALL.iter().map(operation).collect()
}

/// The list of metrics: rows of name, type and meaning.
fn metrics() -> Vec<Vec<&'static str>> {
    authkv_metrics::list::ALL
        .iter()
        .map(|metric| vec![metric.name, metric.kind.name(), metric.help])
        .collect()
}

/// Whether `memtx_use_mvcc_engine` is on. Evaluates Lua.
pub fn uses_mvcc(_tx: &Tx) -> bool {
    tarantool::lua_state()
        .eval("return box.cfg.memtx_use_mvcc_engine == true")
        .unwrap_or_default()
}

/// The directories of logs and of snapshots. `None` before `box.cfg`. Evaluates Lua.
pub fn directories(_tx: &Tx) -> Option<(PathBuf, PathBuf)> {
    let (logs, snapshots) = tarantool::lua_state()
        .eval::<(String, String)>("return box.cfg.wal_dir, box.cfg.memtx_dir")
        .ok()?;
    Some((logs.into(), snapshots.into()))
}

/// Where Lua keeps, for all images of this process, that the files of the database are gone.
const DATA_GONE: &str = "authkv.data_gone";

/// Notes that the files of the database are gone, for images that are loaded later. Evaluates Lua.
pub fn note_data_gone(_tx: &Tx) {
    let noted = tarantool::lua_state().exec_with("package.loaded[...] = true", DATA_GONE);
    if let Err(e) = noted {
        log::error(&format!(
            "a later image will not know that the files of the data are gone: {e}"
        ));
    }
}

/// Whether [`note_data_gone`] was called in this process, by whatever image. Evaluates Lua.
pub fn is_data_gone(_tx: &Tx) -> bool {
    tarantool::lua_state()
        .eval_with("return package.loaded[...] == true", DATA_GONE)
        .unwrap_or_default()
}

/// Memory of memtx in bytes, from `box.slab.info()`.
pub struct Memory {
    pub quota: i64,
    quota_used: i64,
    /// Memory given to tuples and indexes, in pieces of [`ARENA`].
    pub arena_size: i64,
    arena_used: i64,
    /// The slabs of tuples, and the used part of them.
    tuples_size: i64,
    tuples_used: i64,
}

/// Memory is given to tuples or to indexes in pieces of this size.
const ARENA: i64 = 16 << 20;

impl Memory {
    /// Whether at least a quarter of the slabs of tuples is free. The free part may only fit tuples of some sizes.
    pub fn has_gaps(&self) -> bool {
        self.tuples_used <= self.tuples_size / 4 * 3
    }

    /// The least memory that indexes can still get. `has_large`: tuples may be outside of the arena.
    pub fn left_for_indexes(&self, has_large: bool) -> i64 {
        // With `memtx_allocator` set to `system`, tuples are not in the arena.
        let (used, given) = match self.arena_used - self.tuples_used {
            used @ 0.. if !has_large => (used, self.arena_size),
            used @ 0.. => (used, self.quota_used),
            _ => (self.arena_used, self.quota_used),
        };
        // In each slab, headers take the place of one extent in 128.
        let usable = ARENA - ARENA / 128;
        let inside = (usable - used % usable) % usable;
        inside + (self.quota - given) / ARENA * usable
    }
}

/// Why a read-only instance should not get requests: because it could be writable, and because it does not follow any more.
/// `by_setting`: the settings make it read-only. Evaluates Lua. Does not yield.
pub fn standby(_tx: &Tx, by_setting: bool) -> (Option<String>, Option<String>) {
    tarantool::lua_state()
        .eval_with("return require('authkv.health').standby(...)", by_setting)
        .unwrap_or_default()
}

/// The name of the instance that leads, and its address if it is known. Evaluates Lua. Does not yield.
pub fn leader(_tx: &Tx) -> Option<String> {
    const ASK: &str = "
        local leader = require('authkv.replication').leader()
        return leader and leader.name .. (leader.http and ' at ' .. leader.http or '')";
    tarantool::lua_state().eval(ASK).ok()
}

/// What this instance knows of its replica set. Evaluates Lua. Does not yield. Errors: `Internal`.
pub fn cluster(tx: &Tx) -> Result<Cluster, Error> {
    ask(tx, "replication", "cluster")
}

/// The memory of memtx. Evaluates Lua. Does not yield.
pub fn memory(_tx: &Tx) -> Option<Memory> {
    const ASK: &str = "
        local info = box.slab.info()
        return tonumber(info.quota_size), tonumber(info.quota_used), tonumber(info.arena_size),
            tonumber(info.arena_used), tonumber(info.items_size), tonumber(info.items_used)";
    type Numbers = (f64, f64, f64, f64, f64, f64);
    let (quota, quota_used, arena_size, arena_used, tuples_size, tuples_used) =
        tarantool::lua_state().eval::<Numbers>(ASK).ok()?;
    Some(Memory {
        quota: quota as i64,
        quota_used: quota_used as i64,
        arena_size: arena_size as i64,
        arena_used: arena_used as i64,
        tuples_size: tuples_size as i64,
        tuples_used: tuples_used as i64,
    })
}

/// What a function of one of the modules returns, read from msgpack. A failure is logged. Evaluates Lua. Errors: `Internal`.
pub fn ask<T: DeserializeOwned>(_tx: &Tx, module: &str, function: &str) -> Result<T, Error> {
    let code = format!("return require('msgpack').encode(require('authkv.{module}').{function}())");
    let told = tarantool::lua_state().eval::<AnyLuaString>(&code);
    let told = told.map_err(|error| error.to_string());
    let read = |text: AnyLuaString| {
        rmp_serde::from_slice(text.as_bytes()).map_err(|error| error.to_string())
    };
    told.and_then(read).map_err(|what| {
        log::error(&format!("{module}.{function} failed: {what}"));
        Error::Internal
    })
}

/// Tarantool's version. Evaluates Lua.
pub fn version_text(_tx: &Tx) -> String {
    let text = tarantool::lua_state().eval("return _TARANTOOL");
    text.unwrap_or_default()
}

/// The first two numbers of Tarantool's version. Evaluates Lua.
pub fn version(tx: &Tx) -> (u32, u32) {
    let text = version_text(tx);
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Makes an instance of this image take over from an instance of an older image. Returns whether that has begun. Does not
/// yield.
pub fn resume(_tx: &Tx) -> bool {
    const RESUME: &str = "
        local authkv = package.loaded.authkv
        return type(authkv) == 'table' and authkv.resume()";
    tarantool::lua_state()
        .eval::<bool>(RESUME)
        .unwrap_or_default()
}

/// The Lua modules, by the names that `require` uses.
const MODULES: [(&str, &str); 24] = [
    (
        "authkv.backup",
        include_str!("../../tarantool_infra/backup.lua"),
    ),
    (
        "authkv.bulk",
        include_str!("../../tarantool_infra/bulk.lua"),
    ),
    (
        "authkv.config_file",
        include_str!("../../tarantool_infra/config_file.lua"),
    ),
    (
        "authkv.configuration",
        include_str!("../../tarantool_infra/configuration.lua"),
    ),
    (
        "authkv.copies",
        include_str!("../../tarantool_infra/copies.lua"),
    ),
    (
        "authkv.facade",
        include_str!("../../tarantool_infra/facade.lua"),
    ),
    (
        "authkv.follow",
        include_str!("../../tarantool_infra/follow.lua"),
    ),
    (
        "authkv.health",
        include_str!("../../tarantool_infra/health.lua"),
    ),
    ("authkv.hop", include_str!("../../tarantool_infra/hop.lua")),
    (
        "authkv.kubernetes",
        include_str!("../../tarantool_infra/kubernetes.lua"),
    ),
    (
        "authkv.lifecycle",
        include_str!("../../tarantool_infra/lifecycle.lua"),
    ),
    (
        "authkv.manifest",
        include_str!("../../tarantool_infra/manifest.lua"),
    ),
    (
        "authkv.metrics",
        include_str!("../../tarantool_infra/metrics.lua"),
    ),
    (
        "authkv.mount",
        include_str!("../../tarantool_infra/mount.lua"),
    ),
    (
        "authkv.pool",
        include_str!("../../tarantool_infra/pool.lua"),
    ),
    (
        "authkv.process",
        include_str!("../../tarantool_infra/process.lua"),
    ),
    (
        "authkv.replication",
        include_str!("../../tarantool_infra/replication.lua"),
    ),
    (
        "authkv.replicated",
        include_str!("../../tarantool_infra/replicated.lua"),
    ),
    (
        "authkv.rock",
        include_str!("../../tarantool_infra/rock.lua"),
    ),
    (
        "authkv.schema",
        include_str!("../../tarantool_infra/schema.lua"),
    ),
    (
        "authkv.source",
        include_str!("../../tarantool_infra/source.lua"),
    ),
    (
        "authkv.sources",
        include_str!("../../tarantool_infra/sources.lua"),
    ),
    (
        "authkv.tools",
        include_str!("../../tarantool_infra/tools.lua"),
    ),
    (
        "authkv.verify",
        include_str!("../../tarantool_infra/verify.lua"),
    ),
];

/// Receives `authkv.native` and the modules, and puts the facade where `require` finds it.
const LOADER: &str = "
    local native, modules = ...
    package.preload['authkv.native'] = function() return native end
    for _, module in ipairs(modules) do
        local name, text = module[1], module[2]
        package.preload[name] = assert(loadstring(text, '@' .. name .. '.lua'))
    end
    package.loaded.authkv = require('authkv.facade')
";

/// The functions of the module `authkv.native`. They are those of this image.
pub fn native() -> impl PushInto<LuaState, Err = impl Display> {
    AsTable((
        ("check_settings", tlua::function1(check_settings)),
        ("prepare", tlua::function1(super::prepare::prepare)),
        ("settings", tlua::function0(settings)),
        ("options", tlua::function0(options)),
        ("in_force", tlua::function1(in_force)),
        ("secrets", tlua::function0(secrets)),
        ("draw_secret", tlua::function0(draw_secret)),
        ("version", tlua::function0(version_of_authkv)),
        ("operations", tlua::function0(operations)),
        ("metrics", tlua::function0(metrics)),
    ))
}

/// The Lua modules of this image: pairs of name and text.
pub fn modules() -> Vec<Vec<&'static str>> {
    let module = |(name, text): &(&'static str, &'static str)| vec![*name, *text];
    MODULES.iter().map(module).collect()
}

/// Called by `require('authkv')`.
///
/// # Safety
/// `lua` is a live Lua state, as Lua passes it.
#[no_mangle]
pub unsafe extern "C" fn luaopen_authkv(lua: LuaState) -> std::ffi::c_int {
    let loaded = guard(|| {
        // SAFETY: the caller promises that the state is live.
        let lua = unsafe { tlua::StaticLua::from_static(lua) };
        lua.exec_with(LOADER, (native(), modules()))
            .map_err(|e| Error::malformed(e.to_string()))
    });
    if let Err(e) = loaded {
        let _ = writeln!(std::io::stderr(), "authkv: cannot load the Lua side: {e}");
    }
    0
}
