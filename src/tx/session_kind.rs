//! Whether a procedure is called over iproto or from Lua. Runs on the tx thread.

use super::Tx;
use authkv_base::origin::Transport;
use std::ffi::{c_int, CStr};
use tlua::ffi::{
    lua_getfield, lua_isfunction, lua_pcall, lua_pushvalue, lua_remove, lua_settop, lua_tolstring,
    LUA_GLOBALSINDEX,
};
use tlua::{AsLua, LuaThread};

/// The position of `box.session.type` on the stack.
const TYPE: c_int = 1;

/// A Lua thread whose stack holds the function `box.session.type`. To call it costs a tenth of evaluating a text.
pub struct SessionKind(Option<LuaThread>);

impl SessionKind {
    /// Does not yield.
    pub fn new(_tx: &Tx) -> Self {
        let thread = tarantool::lua_state();
        let lua = thread.as_lua();
        // SAFETY: the thread is live, and its stack is empty with room for 20 values (LUA_MINSTACK). `box` and `box.session` are
        // tables of Tarantool after `box.cfg`, and look-ups in them raise no error.
        let is_there = unsafe {
            lua_getfield(lua, LUA_GLOBALSINDEX, c"box".as_ptr());
            lua_getfield(lua, -1, c"session".as_ptr());
            lua_getfield(lua, -1, c"type".as_ptr());
            lua_remove(lua, TYPE);
            lua_remove(lua, TYPE);
            lua_isfunction(lua, TYPE)
        };
        Self(is_there.then_some(thread))
    }

    /// The transport of the procedure that runs in the current fiber. Does not yield.
    pub fn transport(&self, _tx: &Tx) -> Transport {
        let Some(thread) = &self.0 else {
            return Transport::Iproto;
        };
        let lua = thread.as_lua();
        // SAFETY: the stack is as `new` left it, with room. The call is protected, and the function neither yields nor keeps
        // anything. The text lives while it is on the stack. Only the tx thread uses the Lua thread.
        let is_binary = unsafe {
            lua_pushvalue(lua, TYPE);
            let failed = lua_pcall(lua, 0, 1, 0) != 0;
            let mut length = 0;
            let text = lua_tolstring(lua, -1, &mut length);
            let is_binary = failed || text.is_null() || CStr::from_ptr(text) == c"binary";
            lua_settop(lua, TYPE);
            is_binary
        };
        match is_binary {
            true => Transport::Iproto,
            false => Transport::Console,
        }
    }
}
