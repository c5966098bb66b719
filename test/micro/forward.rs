//! `cargo bench` of the library: that of test/micro, whose dependencies are its own. With them the tests of the library
//! would take longer to build, and use its dependencies with other features.

use std::process::{Command, ExitCode};
use std::{env, io};

const MICRO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/test/micro/Cargo.toml");
const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/micro");
/// How the names begin that cargo gives to what it says of a package.
const OURS: [&[u8]; 3] = [b"CARGO_MANIFEST_", b"CARGO_PKG_", b"OUT_DIR"];

fn main() -> io::Result<ExitCode> {
    // What cargo itself adds, in `cargo bench` only.
    let (bench, arguments): (Vec<_>, Vec<_>) = env::args_os()
        .skip(1)
        .partition(|argument| argument == "--bench");
    if bench.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut micro = Command::new(cargo);
    micro
        .args(["bench", "--locked", "--manifest-path", MICRO, "--"])
        .args(arguments)
        // Not --target-dir, which criterion does not see.
        .env("CARGO_TARGET_DIR", TARGET);
    // They are about this package, and the build of ring depends on them.
    for (name, _) in env::vars_os() {
        if OURS
            .iter()
            .any(|ours| name.as_encoded_bytes().starts_with(ours))
        {
            micro.env_remove(name);
        }
    }
    Ok(match micro.status()?.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
