//! The same logic in Lua: a handler on the `http` rock, and a stored procedure.

use crate::process::{command, listens, needs, Process};
use crate::Result;
use authkv_check::port::free_port;
use std::path::Path;
use std::process::Command;

/// The space of the pairs: `id` in `peer.lua`.
pub const SPACE: u64 = 600;

/// What to do without it.
pub const NO_ROCK: &str =
    "the http rock is not on package.path: tarantoolctl or tt rocks install http, or AUTHKV_TEST_ROCK=<its directory>";

pub struct Lua {
    pub iproto: u16,
    /// Of the rock, where it is on `package.path`.
    pub http: Option<u16>,
    pub process: Process,
}

impl Lua {
    pub fn start(data: &Path) -> Result<Self> {
        needs("tarantool", "tarantool")?;
        let (iproto, http) = (free_port()?, free_port()?);
        let rock = has_rock()?;
        let make = |data: &Path| -> Result<Command> {
            std::fs::write(data.join("peer.lua"), include_str!("peer.lua"))?;
            let mut command = tarantool();
            command
                .arg("peer.lua")
                .arg(iproto.to_string())
                .arg(if rock {
                    http.to_string()
                } else {
                    "off".to_owned()
                })
                .current_dir(data);
            Ok(command)
        };
        Ok(Self {
            iproto,
            http: rock.then_some(http),
            process: Process::start(data, make, |_| listens(iproto))?,
        })
    }
}

fn has_rock() -> Result<bool> {
    let code = "os.exit(pcall(require, 'http.server') and 0 or 1)";
    Ok(tarantool().args(["-e", code]).status()?.success())
}

/// With the rock that `AUTHKV_TEST_ROCK` names, as the tests have it.
pub fn tarantool() -> Command {
    let mut command = command("tarantool");
    if let Ok(rock) = std::env::var("AUTHKV_TEST_ROCK") {
        command
            .env("LUA_PATH", format!("{rock}/?.lua;;"))
            .env("LUA_CPATH", format!("{rock}/?.so;;"));
    }
    command
}
