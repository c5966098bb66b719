//! The client of the current fiber.

use super::Tx;
use authkv_base::origin::{Origin, Peer, Transport};

/// Finds the peer of a procedure's call. Other origins already have it. Evaluates Lua for a call.
pub fn resolve(_tx: &Tx, origin: Origin) -> Origin {
    const ASK: &str = "
        local peer = box.session.peer()
        return box.session.type(), peer and tostring(peer) or nil";
    if origin.peer != Peer::Session {
        return origin;
    }
    let (kind, peer): (String, Option<String>) =
        tarantool::lua_state().eval(ASK).unwrap_or_default();
    Origin {
        transport: match &*kind {
            "binary" => Transport::Iproto,
            _ => Transport::Console,
        },
        peer: Peer::reported(peer.unwrap_or(kind)),
        ..origin
    }
}
