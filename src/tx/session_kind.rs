//! Who calls a procedure: over iproto or from Lua, and from where. Runs on the tx thread.

use super::Tx;
use authkv_base::origin::{Origin, Peer, Transport};
use std::ffi::{c_int, CStr};
use tlua::ffi::{
    lua_getfield, lua_isfunction, lua_pcall, lua_pushvalue, lua_remove, lua_settop, lua_tolstring,
    LUA_GLOBALSINDEX,
};
use tlua::{AsLua, LuaThread};

/// The positions of `box.session.type` and `box.session.peer` on the stack.
const TYPE: c_int = 1;
const PEER: c_int = 2;

/// What `box.session.type` says of a connection over iproto.
const BINARY: &CStr = c"binary";

/// A Lua thread whose stack holds the functions `box.session.type` and `box.session.peer`. To call one costs a tenth of evaluating
/// a text.
pub struct SessionKind(Option<LuaThread>);

impl SessionKind {
    /// Does not yield.
    pub fn new(_tx: &Tx) -> Self {
        let thread = tarantool::lua_state();
        let lua = thread.as_lua();
        // SAFETY: the thread is live, and its stack is empty with room for 20 values (LUA_MINSTACK). `box` and `box.session` are
        // tables of Tarantool after `box.cfg`, and look-ups in them raise no error.
        let are_there = unsafe {
            lua_getfield(lua, LUA_GLOBALSINDEX, c"box".as_ptr());
            lua_getfield(lua, -1, c"session".as_ptr());
            lua_getfield(lua, -1, c"type".as_ptr());
            lua_getfield(lua, -2, c"peer".as_ptr());
            lua_remove(lua, 1);
            lua_remove(lua, 1);
            lua_isfunction(lua, TYPE) && lua_isfunction(lua, PEER)
        };
        Self(are_there.then_some(thread))
    }

    /// The transport of the procedure that runs in the current fiber. Does not yield.
    pub fn transport(&self, _tx: &Tx) -> Transport {
        let transport = self.call(TYPE, |kind| match kind {
            Some(kind) if kind != BINARY => Transport::Console,
            _ => Transport::Iproto,
        });
        transport.unwrap_or(Transport::Iproto)
    }

    /// The origin with the peer of the procedure that runs in the current fiber, for what goes on in another fiber. Origins that
    /// have a peer keep it. Does not yield.
    pub fn resolve(&self, tx: &Tx, origin: Origin) -> Origin {
        let text = |text: Option<&CStr>| Some(text?.to_str().ok()?.to_owned());
        if origin.peer != Peer::Session {
            return origin;
        }
        let peer = self.call(PEER, text).flatten();
        let peer = peer.or_else(|| self.call(TYPE, text).flatten());
        match peer {
            Some(peer) => Origin {
                peer: Peer::reported(peer),
                ..origin
            },
            None => super::session::resolve(tx, origin),
        }
    }

    /// Calls the function at this place of the stack. `read` gets its text, or `None` if it has none. Returns `None` if the
    /// functions are not known.
    fn call<T>(&self, function: c_int, read: impl FnOnce(Option<&CStr>) -> T) -> Option<T> {
        let thread = self.0.as_ref()?;
        let lua = thread.as_lua();
        // SAFETY: the stack is as `new` left it, with room. The call is protected, and the functions neither yield nor keep
        // anything. The text lives while it is on the stack. Only the tx thread uses the Lua thread.
        unsafe {
            lua_pushvalue(lua, function);
            let failed = lua_pcall(lua, 0, 1, 0) != 0;
            let mut length = 0;
            let text = lua_tolstring(lua, -1, &mut length);
            let text = (!failed && !text.is_null()).then(|| CStr::from_ptr(text));
            let read = read(text);
            lua_settop(lua, PEER);
            Some(read)
        }
    }
}
