//! Tarantool's log. Other threads send their lines to it through the bridge.

use std::ffi::CString;
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

/// Writes the line of a request: text, or a JSON object whose members become members of the log's own object.
pub fn request(line: &str, json: bool) {
    let say_fn = match json {
        // SAFETY: a symbol of Tarantool that is set at its start and never changes.
        true => unsafe { tarantool::ffi::tarantool::SAY_FN },
        false => None,
    };
    let text = CString::new(line);
    let (Some(say_fn), Ok(text)) = (say_fn, text) else {
        return say(SayLevel::Info, file!(), line!() as i32, None, line);
    };
    // SAFETY: all pointers are to strings that outlive the call. The format `json` takes one string with an object, as
    // Tarantool's own log.lua passes it.
    unsafe {
        say_fn(
            SayLevel::Info as i32,
            std::ptr::null(),
            0,
            std::ptr::null(),
            c"json".as_ptr(),
            text.as_ptr(),
        );
    }
}
