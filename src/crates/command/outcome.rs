//! The result of a command, in the form of the answers of `/v1` and the procedures. Any thread.

use crate::Cluster;
use authkv_domain::{ChangePage, Claims, ListPage, Permission, Role, User};
use authkv_metrics::Metrics;
use authkv_token::key::{Algorithm, Jwk};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::sync::Arc;
use utoipa::ToSchema;

/// The result of a command. Its members are those of the answer. It may hold a token, so it does not print.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// The answer of the leader, in the form of the transport that has carried the request there.
    #[serde(skip)]
    Carried(Vec<u8>),
    Registered(Registered),
    LoggedIn {
        token: String,
        token_type: TokenType,
        /// Seconds.
        expires_in: u64,
        #[serde(skip)]
        login: String,
        #[serde(skip)]
        jti: String,
    },
    Session(Session),
    Sessions(SessionList),
    ApiKeyMade(NewApiKey),
    ApiKeys(ApiKeyList),
    OneTime(OneTimeToken),
    Verification(VerificationToken),
    EmailVerified(VerifiedEmail),
    Done(Done),
    /// The claims of the token, if it is valid now.
    #[serde(serialize_with = "authorized")]
    Checked(Option<Arc<Claims>>),
    #[serde(serialize_with = "introspected")]
    Introspected(Option<Introspection>),
    /// `{data: pairs}` in msgpack, the pairs in the order of the request.
    #[serde(skip)]
    Found(Vec<u8>),
    /// The members of the answer in msgpack.
    #[serde(skip)]
    Encoded(Vec<u8>),
    /// The members of the answer to a write in msgpack, and the revision from which on its effects are seen.
    #[serde(skip)]
    Applied {
        members: Vec<u8>,
        revision: u64,
    },
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
    Purged(Purged),
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
        /// The revision from which on all the pairs are seen.
        #[serde(skip)]
        revision: u64,
    },
    User(User),
    Me {
        #[serde(flatten)]
        user: User,
        permissions: Vec<Permission>,
    },
    Users(UserPage),
    Allowed(Allowed),
    Role(Role),
    Roles(RoleList),
    KeySet {
        keys: Vec<Jwk>,
    },
    Keys(SigningKeys),
    Quotas(QuotaPage),
    Rotated(NewSigningKey),
    Retired(RetiredSigningKey),
    Metrics(Metrics),
    Cluster(Cluster),
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

// The doc comments of these types and their members are in the OpenAPI document.

/// The new user
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// The login
    pub login: String,
}

// RFC 6749 §5.1.
/// The tokens of a session
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// For the header `Authorization`, with `Bearer` before it
    pub access_token: String,
    #[schema(inline)]
    pub token_type: TokenType,
    /// Seconds that the access token lives
    pub expires_in: u64,
    /// Good for one refresh
    pub refresh_token: String,
    /// Seconds that the refresh token lives
    pub refresh_expires_in: u64,
    #[serde(skip)]
    pub login: String,
    #[serde(skip)]
    pub jti: String,
    // For the audit log.
    #[serde(skip)]
    pub again: bool,
}

/// Sessions, the newest first
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionList {
    pub sessions: Vec<ActiveSession>,
}

/// A session that has not ended
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveSession {
    /// The id of the session, the claim `sid` of its access tokens
    pub session: String,
    /// It began then: seconds since 1970
    pub created_at: u64,
    /// It was refreshed then: seconds since 1970; null if it never was
    #[schema(required)]
    pub refreshed_at: Option<u64>,
    /// It ends then, unless it is refreshed: seconds since 1970
    pub expires_at: u64,
    /// The IP address of the client at the login or the last refresh; null if it had none
    #[schema(required)]
    pub address: Option<String>,
    /// The header `User-Agent` of that request; null if it had none
    #[schema(required)]
    pub user_agent: Option<String>,
    /// Whether it is the session of this request's token
    pub current: bool,
}

/// A token with which a user sets a new password once
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OneTimeToken {
    pub reset_token: String,
    /// Seconds since 1970
    pub expires_at: u64,
}

/// A token with which a user shows once to read what is sent to the e-mail address
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationToken {
    pub verification_token: String,
    /// Seconds since 1970
    pub expires_at: u64,
}

/// An e-mail address that is verified
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifiedEmail {
    /// The login, which is the address
    pub login: String,
    /// Always true
    pub email_verified: bool,
}

/// What a valid token says, and what is known of its user besides.
pub struct Introspection {
    pub claims: Arc<Claims>,
    pub email_verified: bool,
}

/// API keys, in the order in which they were made
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyList {
    pub api_keys: Vec<ListedApiKey>,
}

/// An API key without its secret
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListedApiKey {
    /// The id of the key
    pub api_key: String,
    pub name: String,
    /// The roles of its user that it has; null if it has all of them
    #[schema(required)]
    pub roles: Option<Vec<String>>,
    /// Seconds since 1970
    pub created_at: u64,
    /// Seconds since 1970
    pub expires_at: u64,
    /// Seconds since 1970; null if it was never used
    #[schema(required)]
    pub used_at: Option<u64>,
}

/// A new API key. It is not shown again.
#[derive(Serialize)]
pub struct NewApiKey {
    pub key: String,
    #[serde(flatten)]
    pub about: ListedApiKey,
}

#[derive(Serialize, ToSchema)]
pub enum TokenType {
    Bearer,
}

/// Who may do what was asked about
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    pub login: String,
    /// Those that were granted, so not `default`
    pub roles: Vec<String>,
}

/// What a deletion of a range did
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Purged {
    /// How many keys were deleted
    #[schema(value_type = u64)]
    pub deleted: usize,
    /// Whether there may be more keys in the range: the same request goes on
    pub more: bool,
    /// That of the last deletion; null without one
    #[schema(required)]
    pub revision: Option<u64>,
    // The revision from which on none of the deleted keys is seen.
    #[serde(skip)]
    pub seen_from: u64,
}

/// Users in the order of their logins
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPage {
    pub users: Vec<User>,
    /// What to ask `after` for those that follow; null at the end
    #[schema(required)]
    pub next: Option<String>,
}

/// All roles, in the order of their names
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleList {
    pub roles: Vec<Role>,
}

/// Quotas in the order of their prefixes, with what is used of them
#[derive(Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaPage {
    pub quotas: Vec<QuotaUse>,
    /// What to ask `after` for those that follow; null at the end
    #[schema(required)]
    pub next: Option<String>,
}

/// A quota, and what the keys with its prefix use
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaUse {
    /// The prefix or the pattern of the settings
    pub quota: String,
    /// The prefix of the keys that are counted
    pub prefix: String,
    /// Pairs, those included that have expired and were not removed yet
    pub pairs: u64,
    /// The most pairs; null if there is no limit
    #[schema(required)]
    pub pairs_max: Option<u64>,
    /// Bytes of keys, values and content types in msgpack
    pub bytes: u64,
    /// The most bytes; null if there is no limit
    #[schema(required)]
    pub bytes_max: Option<u64>,
}

/// The keys that are published
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKeys {
    pub keys: Vec<SigningKey>,
}

/// A key that is published
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// The id of the key, its thumbprint (RFC 7638)
    pub kid: String,
    #[schema(inline)]
    pub alg: Algorithm,
    /// Seconds since 1970
    pub created_at: u64,
    /// Seconds since 1970
    pub signs_from: u64,
    /// Its tokens hold until then at most: seconds since 1970; null while that is not known
    #[schema(required)]
    pub verifies_until: Option<u64>,
    /// This instance signs with it at present
    pub signs: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSigningKey {
    /// The id of the key, its thumbprint (RFC 7638)
    pub kid: String,
    #[schema(inline)]
    pub alg: Algorithm,
    /// It signs from then on: seconds since 1970
    pub signs_from: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetiredSigningKey {
    /// The id of the key, its thumbprint (RFC 7638)
    pub kid: String,
    /// Its tokens fail from then on: seconds since 1970
    pub verifies_until: u64,
}

impl Outcome {
    /// For the result of a write to the store: the revision from which on it is seen. An instance that has this revision shows
    /// everything that the write has done, or has found done already.
    pub fn revision(&self) -> Option<u64> {
        match self {
            Outcome::Applied { revision, .. }
            | Outcome::Written { revision, .. }
            | Outcome::PairWritten { revision, .. }
            | Outcome::PairDeleted { revision, .. } => Some(*revision),
            Outcome::Purged(purged) => Some(purged.seen_from),
            _ => None,
        }
    }
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
    found: &Option<Introspection>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(if found.is_some() { 11 } else { 1 }))?;
    map.serialize_entry("active", &found.is_some())?;
    if let Some(Introspection {
        claims,
        email_verified,
    }) = found
    {
        map.serialize_entry("token_type", "Bearer")?;
        map.serialize_entry("username", &claims.sub)?;
        map.serialize_entry("sub", &claims.sub)?;
        map.serialize_entry("iss", &claims.iss)?;
        map.serialize_entry("aud", &claims.aud)?;
        map.serialize_entry("jti", &claims.jti)?;
        map.serialize_entry("iat", &claims.iat)?;
        map.serialize_entry("nbf", &claims.nbf)?;
        map.serialize_entry("exp", &claims.exp)?;
        map.serialize_entry("email_verified", email_verified)?;
    }
    map.end()
}
