//! The vocabulary of requests: [`Operation`], [`Command`], [`Request`], [`Outcome`]. Pure; any thread.

#![forbid(unsafe_code)]

mod cluster;
mod decode;
mod endpoint;
mod freshness;
mod input;
mod operation;
mod outcome;
#[cfg(test)]
mod sample;
mod table;
mod table_kv;

pub use cluster::{Cluster, Leader, Member};
pub use decode::{CONTENT_TYPE_MAX, DELETION_MAX, PAGE, PAGE_MAX, PUBLISH_MAX, ROLES_MAX};
pub use endpoint::{Delivery, Endpoint, Function, Input, Kind, Profile, Who, TAGS};
pub use freshness::{Freshness, WAIT, WAIT_MAX};
pub use input::{
    ApiKeyId, ApiKeyInput, Arguments, Credentials, Grant, Names, NewPassword, NewRole,
    OneTimeRequest, Page, PasswordChange, Question, Registration, ServiceUser, SessionId,
    UserApiKey, UserApiKeyInput, UserSession,
};
pub use operation::{Command, Lane, Operation, Privilege, Row};
pub use outcome::{
    ActiveSession, Allowed, ApiKeyList, Done, Introspection, ListedApiKey, NewApiKey,
    NewSigningKey, OneTimeToken, Outcome, Purged, QuotaPage, QuotaUse, Registered,
    RetiredSigningKey, RoleList, Session, SessionList, SigningKey, SigningKeys, TokenType,
    UserPage, VerificationToken, VerifiedEmail,
};

use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_domain::Claims;
use authkv_token::ApiKey;
use std::sync::Arc;

/// A command with its sender and origin.
pub struct Request {
    pub origin: Origin,
    pub caller: Caller,
    pub command: Command,
    /// Whether it counts for the limit of requests of its user. A request that takes several commands counts once.
    pub counts: bool,
    /// How fresh the data has to be. An error is that of the first rule which is broken; it is reported after the check of the
    /// token.
    pub fresh: Result<Freshness, Error>,
    /// The request as its transport got it, if the instance carries requests that write to the leader of its replica set.
    pub carried: Option<Box<[u8]>>,
}

/// The sender of a command, as far as it is known without reading a space.
#[derive(Debug, Clone)]
pub enum Caller {
    /// No token.
    Anonymous,
    /// A token that is not valid.
    Refused,
    /// A token with a valid signature, times and issuer. It may have been revoked.
    Bearer(Arc<Claims>),
    /// An API key in the right form. It may be that of nobody.
    Key(Arc<ApiKey>),
    /// Someone who has Tarantool's own right to execute the owner's procedure.
    Owner,
}
