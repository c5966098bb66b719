//! `require('authkv')`: the Lua side, which is kept in this library, and the check of the settings.
//!
//! It cannot be a Lua file of that name on `package.path`: Tarantool would take that file for the library when
//! it looks for `authkv.auth_login`. `require` makes another image of the library than the one behind the
//! procedures, with statics of its own; so nothing here keeps state.

use super::Tx;
use authkv_base::error::Error;
use authkv_base::guard::guard;
use authkv_command::{Function, Operation};
use authkv_config::{Config, SETTINGS};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use tlua::{AsTable, LuaState, PushInto};

type Checked = (Option<HashMap<&'static str, String>>, Option<String>);

/// Checks settings by name, without the prefix. Returns what `init.lua` needs of them, or nil and what is
/// wrong.
fn check_settings(given: HashMap<String, String>) -> Checked {
    let checked = guard(|| Ok(Config::new(given.into_iter().collect::<BTreeMap<_, _>>())));
    match checked {
        Ok(Ok(config)) => (Some(config.for_lua().into_iter().collect()), None),
        Ok(Err(what)) => (None, Some(what)),
        Err(error) => (None, Some(error.to_string())),
    }
}

/// The table of settings: rows of name, default and meaning.
fn settings() -> Vec<Vec<&'static str>> {
    SETTINGS
        .iter()
        .map(|(name, default, meaning)| vec![*name, *default, *meaning])
        .collect()
}

/// An operation of the table, as the Lua side needs it.
#[derive(PushInto)]
struct LuaOperation {
    name: &'static str,
    takes_token: bool,
    summary: &'static str,
    functions: Vec<LuaFunction>,
}

/// A function of the console.
#[derive(PushInto)]
struct LuaFunction {
    name: &'static str,
    caller: &'static str,
    arguments: Vec<&'static str>,
    takes_table: bool,
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

/// Whether transactions of memtx are those of its manager of versions (`memtx_use_mvcc_engine`). Evaluates Lua.
pub fn uses_mvcc(_tx: &Tx) -> bool {
    tarantool::lua_state()
        .eval("return box.cfg.memtx_use_mvcc_engine == true")
        .unwrap_or_default()
}

/// Bytes of memtx, as `box.slab.info()` has them.
pub struct Memory {
    pub quota: i64,
    quota_used: i64,
    /// What tuples and indexes have been given, in pieces of [`ARENA`].
    pub arena_size: i64,
    arena_used: i64,
    /// The slabs of tuples, and what of them is in use.
    tuples_size: i64,
    tuples_used: i64,
}

/// Memory goes to tuples or to indexes in pieces of so many bytes.
const ARENA: i64 = 16 << 20;

impl Memory {
    /// Whether a quarter of the slabs of tuples is free or more. It is free for tuples of some sizes only.
    pub fn has_gaps(&self) -> bool {
        self.tuples_used <= self.tuples_size / 4 * 3
    }

    /// What indexes can have yet, at least. `has_large`: tuples may be outside of the arena.
    pub fn left_for_indexes(&self, has_large: bool) -> i64 {
        // Tuples are not in the arena where `memtx_allocator` is `system`.
        let (used, given) = match self.arena_used - self.tuples_used {
            used @ 0.. if !has_large => (used, self.arena_size),
            used @ 0.. => (used, self.quota_used),
            _ => (self.arena_used, self.quota_used),
        };
        // Headers take the place of one extent in each slab of 128.
        let usable = ARENA - ARENA / 128;
        let inside = (usable - used % usable) % usable;
        inside + (self.quota - given) / ARENA * usable
    }
}

/// How much memory memtx has. Evaluates Lua. Does not yield.
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

/// The first two numbers of Tarantool's version. Evaluates Lua.
pub fn version(_tx: &Tx) -> (u32, u32) {
    let text: String = tarantool::lua_state()
        .eval("return _TARANTOOL")
        .unwrap_or_default();
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Has an instance of this image take over from that of an older one. Returns whether that is under way. Does not
/// yield.
pub fn resume(_tx: &Tx) -> bool {
    const RESUME: &str = "
        local authkv = package.loaded.authkv
        return type(authkv) == 'table' and authkv.resume()";
    tarantool::lua_state()
        .eval::<bool>(RESUME)
        .unwrap_or_default()
}

/// The modules in Lua, by the names they `require` one another by.
const MODULES: [(&str, &str); 9] = [
    (
        "authkv.bulk",
        include_str!("../../tarantool_infra/bulk.lua"),
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
        "authkv.lifecycle",
        include_str!("../../tarantool_infra/lifecycle.lua"),
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
        "authkv.rock",
        include_str!("../../tarantool_infra/rock.lua"),
    ),
    (
        "authkv.schema",
        include_str!("../../tarantool_infra/schema.lua"),
    ),
    (
        "authkv.tools",
        include_str!("../../tarantool_infra/tools.lua"),
    ),
];

/// Takes `authkv.native` and the modules, and leaves the facade where `require` looks for it.
const LOADER: &str = "
    local native, modules = ...
    package.preload['authkv.native'] = function() return native end
    for _, module in ipairs(modules) do
        local name, text = module[1], module[2]
        package.preload[name] = assert(loadstring(text, '@' .. name .. '.lua'))
    end
    package.loaded.authkv = require('authkv.facade')
";

/// What `require('authkv')` calls.
///
/// # Safety
/// `lua` is a live Lua state, as Lua passes it.
#[no_mangle]
pub unsafe extern "C" fn luaopen_authkv(lua: LuaState) -> std::ffi::c_int {
    let loaded = guard(|| {
        // SAFETY: the caller promises that the state is live.
        let lua = unsafe { tlua::StaticLua::from_static(lua) };
        let native = AsTable((
            ("check_settings", tlua::function1(check_settings)),
            ("settings", tlua::function0(settings)),
            ("operations", tlua::function0(operations)),
        ));
        let modules: Vec<Vec<&str>> = MODULES
            .iter()
            .map(|(name, text)| vec![*name, *text])
            .collect();
        lua.exec_with(LOADER, (native, modules))
            .map_err(|e| Error::malformed(e.to_string()))
    });
    if let Err(e) = loaded {
        let _ = writeln!(std::io::stderr(), "authkv: cannot load the Lua side: {e}");
    }
    0
}
