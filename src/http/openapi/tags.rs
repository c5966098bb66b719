//! The tags of operations. Pure.

pub const OLD: &str = "authorization";
pub const PAIRS: &str = "key-value";
pub const ONE: &str = "one key";
pub const CHANGES: &str = "changes";
pub const BULK: &str = "import and export";
pub const SESSIONS: &str = "sessions";
pub const USERS: &str = "users";
pub const ROLES: &str = "roles";
pub const KEYS: &str = "keys";

/// All of them, and what they are about.
pub const ALL: [(&str, &str); 9] = [
    (OLD, "Users and their tokens, as in the old services"),
    (PAIRS, "Many keys at once"),
    (
        ONE,
        "A key as a resource of HTTP: its value is the body, its revision the entity tag",
    ),
    (CHANGES, "What happens to pairs, as it happens"),
    (BULK, "All pairs, as lines of JSON"),
    (
        SESSIONS,
        "Access tokens, and refresh tokens that are good once",
    ),
    (
        USERS,
        "What is the user's own, and the administration of users",
    ),
    (ROLES, "Who may read and write which keys"),
    (KEYS, "The keys that sign tokens"),
];
