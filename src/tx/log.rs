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
