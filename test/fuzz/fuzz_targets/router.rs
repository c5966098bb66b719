//! Any bytes as what a client sends over HTTP/1: what is read does not depend on how the bytes were split, and no
//! other reader of a request could find its end elsewhere.

#![no_main]

#[path = "router/connection.rs"]
mod connection;
#[path = "router/oracle.rs"]
mod oracle;

use authkv_base::error::Error;
use authkv_config::Services;
use authkv_wire::routes::{self, Target};
use connection::Connection;
use http::Method;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = Connection::read([data]);
    assert_eq!(Connection::read(data.chunks(1)), whole);
    let at = data.iter().map(|&byte| usize::from(byte)).sum::<usize>() % (data.len() + 1);
    let (a, b) = data.split_at(at);
    assert_eq!(Connection::read([a, b]), whole);

    let mut words = data.splitn(3, |&byte| byte == b' ');
    let method = words.next().and_then(|word| Method::from_bytes(word).ok());
    let path = words.next().and_then(|word| std::str::from_utf8(word).ok());
    if let (Some(method), Some(path)) = (method, path) {
        find(&method, path);
    }
});

/// What a request is for, under every setting: whatever is offered is a route for that method.
fn find(method: &Method, path: &str) {
    for setting in 0..8 {
        let (auth, kv, docs) = (setting & 1 != 0, setting & 2 != 0, setting & 4 != 0);
        let page = |path: &str| (docs && path == "/docs").then_some(());
        let found = routes::find(Some(Services { auth, kv }), method, path, page);
        let known = found.path != "-";
        match found.target {
            Ok(Target::Operation(route, _)) => {
                let allow = route.allow();
                assert!(known && allow.split(", ").any(|allowed| method == allowed));
                assert!(route.operation.offered_by(Services { auth, kv }));
            }
            Ok(Target::Page(_)) => {
                assert!(docs && (method == Method::GET || method == Method::HEAD))
            }
            Ok(Target::Options(_)) => assert_eq!(method, Method::OPTIONS),
            Err(Error::NoSuchRoute) => assert!(!known),
            Err(Error::Malformed(_)) => assert!(known && path.contains('%')),
            Err(Error::NotOffered) => assert!(known && !(auth && kv)),
            Err(Error::WrongMethod { allow }) => {
                assert!(allow.split(", ").all(|allowed| method != allowed));
            }
            Err(other) => panic!("{other:?} is no error of finding a route"),
        }
    }
}
