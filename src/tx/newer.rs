//! The schema of this image, if the Lua code of the process is that of an older build. Runs on the tx thread.

use super::{fiber, log, lua, Tx};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Takes the same three arguments as the file says.
const UPGRADE: &str = include_str!("../../tarantool_infra/newer.lua");

/// Far beyond any upgrade of the schema.
const LONG: Duration = Duration::from_secs(86_400);

/// Brings the data up to the schema of this image, before a start that takes over in a process whose Lua code may be older.
/// Does nothing if the data has it. The error says what is wrong. Yields.
pub fn bring_up(tx: &Tx, settings: &BTreeMap<String, String>) -> Result<(), String> {
    let given: HashMap<&str, &str> = settings
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let state = tarantool::lua_state();
    let begun = state.eval_with::<_, bool>(UPGRADE, (lua::native(), lua::modules(), given));
    if !begun.map_err(|error| format!("the schema cannot be looked at: {error}"))? {
        return Ok(());
    }
    log::info("the data is upgraded to the schema of the new build");
    if !fiber::wait_until(tx, Instant::now() + LONG, || outcome().0) {
        return Err("the upgrade of the data was given up".into());
    }
    outcome().1.map_or(Ok(()), Err)
}

/// Whether the fiber has ended, and why it could not upgrade the data. Evaluates Lua. Does not yield.
fn outcome() -> (bool, Option<String>) {
    const ASK: &str =
        "local state = package.loaded['authkv.newer'] return state.done, state.problem";
    tarantool::lua_state().eval(ASK).unwrap_or_default()
}
