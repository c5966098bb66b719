//! Tarantool's log. Callers on other threads send their lines through the bridge.

use tarantool::log::{say, SayLevel};

pub fn error(line: &str) {
    say(SayLevel::Error, file!(), line!() as i32, None, line);
}

pub fn warn(line: &str) {
    say(SayLevel::Warn, file!(), line!() as i32, None, line);
}

pub fn info(line: &str) {
    say(SayLevel::Info, file!(), line!() as i32, None, line);
}

/// The line of a request: words, or a JSON object whose members become those of the log's own.
pub fn request(line: &str, json: bool) {
    let kind = json.then_some("json");
    say(SayLevel::Info, file!(), line!() as i32, kind, line);
}
