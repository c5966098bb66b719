//! How Tarantool returns the result of a C procedure. Runs on the tx thread.
//!
//! IPROTO_CALL answers with an array of results. Up to 2.10 the whole array returned by a C function was one of these results.
//! 2.11 brought the tweak `c_func_iproto_multireturn`, which removes that nesting. It is off by default on 2.11 and on by
//! default on 3.x, and `require('compat')` can switch it at any time.

use super::Tx;
use std::ffi::{c_int, CStr};
use tlua::ffi::{
    lua_getfield, lua_gettable, lua_istable, lua_pushstring, lua_pushvalue, lua_remove, lua_settop,
    lua_toboolean, LUA_REGISTRYINDEX,
};
use tlua::{AsLua, LuaThread};

const LOADED: &CStr = c"_LOADED";
const MODULE: &CStr = c"internal.tweaks";
const NAME: &CStr = c"c_func_iproto_multireturn";
/// The positions of the module and of the tweak's name on the stack.
const TWEAKS: c_int = 1;
const KEY: c_int = 2;

/// How results of C procedures are returned.
pub struct Returned(Option<Tweak>);

/// A Lua thread whose stack holds the module of tweaks and the name of the tweak.
struct Tweak(LuaThread);

impl Returned {
    /// Looks for the tweak, which older versions do not have. Does not yield.
    pub fn new(_tx: &Tx) -> Self {
        let thread = tarantool::lua_state();
        let lua = thread.as_lua();
        // SAFETY: the thread is live, and its stack is empty with room for 20 values (LUA_MINSTACK). `_LOADED` is the table of
        // modules. It and the registry have no metatable, so look-ups raise no error.
        let is_there = unsafe {
            lua_getfield(lua, LUA_REGISTRYINDEX, LOADED.as_ptr());
            lua_getfield(lua, -1, MODULE.as_ptr());
            lua_istable(lua, -1)
        };
        if !is_there {
            return Self(None);
        }
        // SAFETY: as above. Removing the table of modules moves the module to its place.
        unsafe {
            lua_remove(lua, TWEAKS);
            lua_pushstring(lua, NAME.as_ptr());
        }
        Self(Some(Tweak(thread)))
    }

    /// Whether clients get results without the nesting. Does not yield or evaluate Lua.
    pub fn is_bare(&self, _tx: &Tx) -> bool {
        let Some(Tweak(thread)) = &self.0 else {
            return false;
        };
        let lua = thread.as_lua();
        // SAFETY: the stack is as `new` left it, with room. The module is a table whose `__index` is a C function that takes
        // any string and raises no error. Only the tx thread uses it, and nothing yields.
        unsafe {
            lua_pushvalue(lua, KEY);
            lua_gettable(lua, TWEAKS);
            let is_on = lua_toboolean(lua, -1) != 0;
            lua_settop(lua, KEY);
            is_on
        }
    }
}
