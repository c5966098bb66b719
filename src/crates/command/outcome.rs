//! The result of a command, in the form of the answers of `/v1` and the procedures. Any thread.

use authkv_domain::{ChangePage, Claims, ListPage, Permission, Role, User};
use authkv_token::key::Jwk;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// The result of a command. Its members are those of the answer. It may hold a token, so it does not print.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Outcome {
    Registered {
        login: String,
    },
    LoggedIn {
        token: String,
        token_type: &'static str,
        /// Seconds.
        expires_in: u64,
        #[serde(skip)]
        login: String,
        #[serde(skip)]
        jti: String,
    },
    Session(Session),
    Done(Done),
    /// The claims of the token, if it is valid now.
    #[serde(serialize_with = "authorized")]
    Checked(Option<Arc<Claims>>),
    #[serde(serialize_with = "introspected")]
    Introspected(Option<Arc<Claims>>),
    /// `{data: pairs}` in msgpack, the pairs in the order of the request.
    #[serde(skip)]
    Found(Vec<u8>),
    /// The members of the answer in msgpack.
    #[serde(skip)]
    Encoded(Vec<u8>),
    /// One pair in msgpack.
    #[serde(skip)]
    Pair(Vec<u8>),
    #[serde(skip)]
    Listed(ListPage),
    Counted {
        /// `None` if the caller may not know it.
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<usize>,
    },
    #[serde(skip)]
    Changed(ChangePage),
    PairWritten {
        key: String,
        revision: u64,
        created: bool,
    },
    PairDeleted {
        deleted: bool,
        revision: u64,
    },
    Written {
        written: usize,
        existing: Vec<String>,
    },
    User(User),
    Me {
        #[serde(flatten)]
        user: User,
        permissions: Vec<Permission>,
    },
    Users {
        users: Vec<User>,
        /// The item after which the next page begins; `None` at the end.
        next: Option<String>,
    },
    Role(Role),
    Roles {
        roles: Vec<Role>,
    },
    KeySet {
        keys: Vec<Jwk>,
    },
    Keys {
        keys: Vec<KeyRow>,
    },
    Rotated {
        kid: String,
        alg: &'static str,
        signs_from: u64,
    },
    Retired {
        kid: String,
        verifies_until: u64,
    },
    #[cfg(test)]
    Sample {
        text: String,
    },
}

/// An action without any other result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Revoked,
    Changed,
    Deleted,
}

/// The tokens of a session (RFC 6749 §5.1). Times are seconds.
#[derive(Serialize)]
pub struct Session {
    pub access_token: String,
    pub token_type: &'static str,
    pub expires_in: u64,
    pub refresh_token: String,
    pub refresh_expires_in: u64,
    #[serde(skip)]
    pub login: String,
    #[serde(skip)]
    pub jti: String,
}

/// A key of the ring, as an administrator sees it. Times are seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    pub kid: String,
    pub alg: &'static str,
    pub created_at: u64,
    pub signs_from: u64,
    /// `None` while it is unknown when the last of its tokens expires.
    pub verifies_until: Option<u64>,
    /// This key signs the tokens of this instance now.
    pub signs: bool,
}

impl Serialize for Done {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = match self {
            Done::Revoked => "revoked",
            Done::Changed => "changed",
            Done::Deleted => "deleted",
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(name, &true)?;
        map.end()
    }
}

fn authorized<S: Serializer>(
    claims: &Option<Arc<Claims>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(if claims.is_some() { 3 } else { 1 }))?;
    map.serialize_entry("authorized", &claims.is_some())?;
    if let Some(claims) = claims {
        map.serialize_entry("login", &claims.sub)?;
        map.serialize_entry("expires_at", &claims.exp)?;
    }
    map.end()
}

/// The answer of RFC 7662 §2.2.
fn introspected<S: Serializer>(
    claims: &Option<Arc<Claims>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(if claims.is_some() { 10 } else { 1 }))?;
    map.serialize_entry("active", &claims.is_some())?;
    if let Some(claims) = claims {
        map.serialize_entry("token_type", "Bearer")?;
        map.serialize_entry("username", &claims.sub)?;
        map.serialize_entry("sub", &claims.sub)?;
        map.serialize_entry("iss", &claims.iss)?;
        map.serialize_entry("aud", &claims.aud)?;
        map.serialize_entry("jti", &claims.jti)?;
        map.serialize_entry("iat", &claims.iat)?;
        map.serialize_entry("nbf", &claims.nbf)?;
        map.serialize_entry("exp", &claims.exp)?;
    }
    map.end()
}
