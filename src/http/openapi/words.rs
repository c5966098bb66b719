//! What the document says of each operation in words. Pure.

use super::kv;
use super::tags::{KEYS, OLD, PAIRS, ROLES, SESSIONS, USERS};
use authkv_command::Operation;
use authkv_wire::routes::{Profile, Route};

/// What the document says of a route in words.
pub struct Words {
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
}

/// The words for a route.
pub fn of_route(route: &Route) -> Words {
    use Operation::*;
    // In `/v1` an operation is called as its procedure is.
    let name = route.operation.row().name;
    let (id, tag, summary, description) = match route.operation {
        Register => (
            "register",
            OLD,
            "Add a user",
            "A taken login is reported first; then the rules for login, password, name and surname in this order.",
        ),
        Login => (
            "login",
            OLD,
            "Get a token",
            "The token is a JSON Web Token. An unknown login and a wrong password are not told apart.",
        ),
        Logout => match route.profile {
            Profile::Api => (
                "logout",
                OLD,
                "Revoke the token",
                "No instance takes the token any more.",
            ),
            Profile::V1 => (
                name,
                SESSIONS,
                "End the session of the token",
                "Its refresh token and all its access tokens end. A token that belongs to no session ends alone.",
            ),
        },
        Check => (
            "check",
            OLD,
            "Check a token",
            "Whatever is wrong with the token, the answer is 200 with `NO`.",
        ),
        Get => (
            "read",
            PAIRS,
            "Read many keys",
            "All or nothing: where a key may not be read, or does not exist, no values are returned.",
        ),
        Put => (
            "write",
            PAIRS,
            "Write many pairs",
            "Inserts the pairs whose keys do not exist, in one transaction. A key that exists keeps its value and is \
             named in the answer. Where a key may not be written, nothing is.",
        ),
        UserRegister => (
            name,
            USERS,
            "Register",
            "A taken login is reported first; then the rules for login, password, name and surname in this order.",
        ),
        SessionLogin => (
            name,
            SESSIONS,
            "Begin a session",
            "An unknown login, a wrong password and a disabled user are not told apart. Failures delay further tries. \
             A user may have a number of sessions; one more ends the oldest.",
        ),
        SessionRefresh => (
            name,
            SESSIONS,
            "Get new tokens for a refresh token",
            "The refresh token is used up. One that is used again ends its session (RFC 9700 §4.14).",
        ),
        SessionLogoutAll => (
            name,
            SESSIONS,
            "End all sessions of the user",
            "All tokens of the user fail from now on.",
        ),
        SessionIntrospect => (
            name,
            SESSIONS,
            "Ask what a token is worth",
            "RFC 7662, whose form is taken as well as JSON. Needs the role `introspect` or `admin`.",
        ),
        UserMe => (name, USERS, "Who am I", "The user of the token, and what it may do."),
        UserPassword => (
            name,
            USERS,
            "Change the password",
            "All tokens and sessions of the user end, that of this request included. A wrong old password counts as a \
             failed login.",
        ),
        UserList => (
            name,
            USERS,
            "List users",
            "In the order of their logins. Needs the role `admin`.",
        ),
        UserGet => (name, USERS, "Look at a user", ADMIN),
        UserCreate => (
            name,
            USERS,
            "Add a user with roles",
            "The rules are those of a registration. Needs the role `admin`.",
        ),
        UserDelete => (
            name,
            USERS,
            "Delete a user",
            "All tokens and sessions of the user end; a user who registers under the same login is another one. Needs \
             the role `admin`.",
        ),
        UserDisable => (
            name,
            USERS,
            "Disable a user",
            "The user cannot log in, and all tokens and sessions end. Needs the role `admin`.",
        ),
        UserEnable => (
            name,
            USERS,
            "Enable a user",
            "The user may log in again; tokens do not come back. Needs the role `admin`.",
        ),
        UserLogout => (
            name,
            USERS,
            "End all sessions of another user",
            "All tokens of the user fail from now on. Needs the role `admin`.",
        ),
        UserSetPassword => (
            name,
            USERS,
            "Set the password of another user",
            "All tokens and sessions of the user end. Needs the role `admin`.",
        ),
        RoleGrant => (
            name,
            ROLES,
            "Give a role to a user",
            "It counts from the next request on. Needs the role `admin`.",
        ),
        RoleRevoke => (
            name,
            ROLES,
            "Take a role from a user",
            "It counts from the next request on; a role that the user does not have is no failure. Needs the role \
             `admin`.",
        ),
        RoleList => (
            name,
            ROLES,
            "List roles",
            "`admin`, `introspect` and `default` are always there. Needs the role `admin`.",
        ),
        RoleSet => (
            name,
            ROLES,
            "Make a role, or change it",
            "All its permissions are replaced. `admin` and `introspect` cannot be changed. Needs the role `admin`.",
        ),
        RoleDelete => (
            name,
            ROLES,
            "Delete a role",
            "Users who have it lose what it gave. `admin`, `introspect` and `default` cannot be deleted. Needs the \
             role `admin`.",
        ),
        KeySet => (
            name,
            KEYS,
            "The public keys",
            "For services that verify tokens themselves; they may be kept for a minute.",
        ),
        KeyList => (name, KEYS, "List the keys that are published", ADMIN),
        KeyRotate => (
            name,
            KEYS,
            "Make a key that is to sign",
            "It is published at once. The old one verifies until the last of its tokens has expired. Needs the role \
             `admin`.",
        ),
        BatchGet | BatchPut | BatchDelete | KvTxn | KvList | KvIncr | KvWatch | PairGet | PairPut | PairDelete => {
            kv::words::of_route(route).into()
        }
        KeyRetire => (
            name,
            KEYS,
            "End a key at once",
            "For emergencies: its tokens fail from now on. A key that signs cannot be retired. Needs the role `admin`.",
        ),
    };
    Words {
        id,
        tag,
        summary,
        description,
    }
}

const ADMIN: &str = "Needs the role `admin`.";
