//! The authenticated sender of a command. Runs on the tx thread.

use super::key_user::{user_of, KeyUser};
use super::Auth;
use super::{access, subject};
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_command::{Caller, Privilege};
use authkv_domain::{Access, Claims, RoleName, Subject};
use authkv_token::ApiKey;
use std::sync::Arc;

/// The authenticated sender of a command. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct Principal<'a>(Who<'a>);

#[derive(Debug)]
enum Who<'a> {
    User(&'a Arc<Claims>, Subject),
    Key(&'a ApiKey, Box<KeyUser>),
    Owner,
}

impl Principal<'_> {
    /// The claims of the caller's token. Errors: `NotForApiKeys` for an API key; `Unauthenticated` for the owner, who has no
    /// token.
    pub fn claims(&self) -> Result<&Arc<Claims>, Error> {
        match &self.0 {
            Who::User(claims, _) => Ok(claims),
            Who::Key(..) => Err(Error::NotForApiKeys),
            Who::Owner => Err(Error::Unauthenticated),
        }
    }

    /// The claims of the caller's token, or those that an API key has in an answer about it. `None` for the owner.
    pub fn described(&self, auth: &Auth) -> Option<Arc<Claims>> {
        match &self.0 {
            Who::User(claims, _) => Some(Arc::clone(claims)),
            Who::Key(_, user) => Some(user.claims(auth)),
            Who::Owner => None,
        }
    }

    /// The login of the caller. Errors: `Unauthenticated` for the owner, who has none.
    pub fn login(&self) -> Result<&str, Error> {
        match &self.0 {
            Who::User(claims, _) => Ok(&claims.sub),
            Who::Key(_, user) => Ok(&user.row.login),
            Who::Owner => Err(Error::Unauthenticated),
        }
    }

    /// Errors: `NotForApiKeys`.
    pub fn check_is_no_key(&self) -> Result<(), Error> {
        match &self.0 {
            Who::Key(..) => Err(Error::NotForApiKeys),
            Who::User(..) | Who::Owner => Ok(()),
        }
    }

    /// What this caller may do with keys. Does not yield.
    pub fn access(&self, tx: &Tx, auth: &Auth) -> Result<Access, Error> {
        match &self.0 {
            Who::User(_, subject) => access::access(tx, auth, subject, true),
            Who::Key(_, user) => access::access(tx, auth, &user.subject, user.has_default()),
            Who::Owner => Ok(Access::everything()),
        }
    }

    /// Like `access`, but authenticates the caller again, so that later changes count. Errors: also those of
    /// [`authenticate`]. Does not yield.
    pub fn access_now(&self, tx: &Tx, auth: &Auth) -> Result<Access, Error> {
        match &self.0 {
            Who::User(claims, _) => {
                let subject = subject::subject_of(tx, auth, claims)?;
                access::access(tx, auth, &subject, true)
            }
            Who::Key(key, _) => {
                let user = user_of(tx, auth, key)?;
                access::access(tx, auth, &user.subject, user.has_default())
            }
            Who::Owner => Ok(Access::everything()),
        }
    }

    /// Whether the caller has the role `admin`, or is the owner.
    pub fn is_admin(&self) -> bool {
        self.check(Privilege::Admin).is_ok()
    }

    /// Errors: `RoleRequired`.
    pub fn check(&self, privilege: Privilege) -> Result<(), Error> {
        let (admin, introspect) = (RoleName::ADMIN, RoleName::INTROSPECT);
        let subject = match &self.0 {
            Who::User(_, subject) => subject,
            Who::Key(_, user) => &user.subject,
            Who::Owner => return Ok(()),
        };
        match privilege {
            Privilege::Nothing | Privilege::Token => Ok(()),
            Privilege::Admin if subject.has(admin) => Ok(()),
            Privilege::Admin => Err(Error::RoleRequired(admin)),
            Privilege::Introspect if subject.has(admin) || subject.has(introspect) => Ok(()),
            Privilege::Introspect => Err(Error::RoleRequired(introspect)),
            Privilege::Recovery if subject.has(admin) || subject.has_recovery() => Ok(()),
            Privilege::Recovery => Err(Error::RoleRequired(RoleName::RECOVERY)),
        }
    }
}

/// Authenticates the sender of a command. Errors: `Unauthenticated`, also for a revoked token; `RevocationsUnknown`. Does
/// not yield.
pub fn authenticate<'a>(tx: &Tx, auth: &Auth, caller: &'a Caller) -> Result<Principal<'a>, Error> {
    match caller {
        Caller::Anonymous | Caller::Refused => Err(Error::Unauthenticated),
        Caller::Owner => Ok(Principal(Who::Owner)),
        Caller::Bearer(claims) => {
            let subject = subject::subject_of(tx, auth, claims)?;
            Ok(Principal(Who::User(claims, subject)))
        }
        Caller::Key(key) => {
            let user = user_of(tx, auth, key)?;
            Ok(Principal(Who::Key(key, Box::new(user))))
        }
    }
}
