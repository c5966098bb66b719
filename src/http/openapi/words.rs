//! What the document says of each operation in words. Pure.

use crate::command::Operation;
use serde_json::{json, Value};

/// What the document says of an operation in words.
pub struct Words {
    pub id: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
    /// The schema of the body, and an example.
    pub body: Option<(&'static str, Value)>,
}

/// The words for an operation.
pub fn of(operation: Operation) -> Words {
    let (id, summary, description, body) = match operation {
        Operation::Register => (
            "register",
            "Add a user",
            "A taken login is reported first; then the rules for login, password, name and surname in this order.",
            Some((
                "Registration",
                json!({"login": "alice", "password": "Passw0rd!", "name": "Alice", "surname": "Smith"}),
            )),
        ),
        Operation::Login => (
            "login",
            "Get a token",
            "The token is a JSON Web Token signed with RS256. An unknown login and a wrong password are not told apart.",
            Some(("Credentials", json!({"login": "alice", "password": "Passw0rd!"}))),
        ),
        Operation::Logout => (
            "logout",
            "Revoke the token",
            "No instance takes the token any more.",
            None,
        ),
        Operation::Check => (
            "check",
            "Check a token",
            "Whatever is wrong with the token, the answer is 200 with `NO`.",
            Some(("Check", json!({"authorization": "Bearer eyJ0eXAiOiJKV1Qi…"}))),
        ),
        Operation::Get => (
            "read",
            "Read many keys",
            "All or nothing: where a key does not exist, no values are returned.",
            Some(("Keys", json!({"keys": ["orbit", "planet"]}))),
        ),
        Operation::Put => (
            "write",
            "Write many pairs",
            "Inserts the pairs whose keys do not exist, in one transaction. A key that exists keeps its value and is \
             named in the answer.",
            Some((
                "Pairs",
                json!({"data": {"planet": "Earth", "moons": 1, "orbit": {"days": 365.25, "next": null}}}),
            )),
        ),
    };
    Words {
        id,
        summary,
        description,
        body,
    }
}
