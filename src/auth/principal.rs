//! The authenticated sender of a command. Runs on the tx thread.

use super::Auth;
use super::{access, subject};
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_command::{Caller, Privilege};
use authkv_domain::{Access, Claims, Granted, RoleName, Subject};
use std::sync::Arc;

/// The authenticated sender of a command. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct Principal<'a>(Who<'a>);

#[derive(Debug)]
enum Who<'a> {
    User(&'a Arc<Claims>, Subject),
    Owner,
}

impl Principal<'_> {
    /// The claims of the caller's token. Errors: `Unauthenticated` for the owner, who has no token.
    pub fn claims(&self) -> Result<&Arc<Claims>, Error> {
        match &self.0 {
            Who::User(claims, _) => Ok(claims),
            Who::Owner => Err(Error::Unauthenticated),
        }
    }

    /// The roles of the caller, with those that the token gives. Errors: as [`Self::claims`].
    pub fn roles(&self) -> Result<&[Granted], Error> {
        match &self.0 {
            Who::User(_, subject) => Ok(&subject.roles),
            Who::Owner => Err(Error::Unauthenticated),
        }
    }

    /// What this caller may do with keys. Does not yield.
    pub fn access(&self, tx: &Tx, auth: &Auth) -> Result<Access, Error> {
        match &self.0 {
            Who::User(_, subject) => access::access(tx, auth, subject),
            Who::Owner => Ok(Access::everything()),
        }
    }

    /// Like `access`, but authenticates the caller again, so that later changes count. Errors: also those of
    /// [`authenticate`]. Does not yield.
    pub fn access_now(&self, tx: &Tx, auth: &Auth) -> Result<Access, Error> {
        match &self.0 {
            Who::User(claims, _) => {
                let subject = subject::subject_of(tx, auth, claims)?;
                access::access(tx, auth, &subject)
            }
            Who::Owner => Ok(Access::everything()),
        }
    }

    /// Errors: `RoleRequired`.
    pub fn check(&self, privilege: Privilege) -> Result<(), Error> {
        let (admin, introspect) = (RoleName::ADMIN, RoleName::INTROSPECT);
        let Who::User(_, subject) = &self.0 else {
            return Ok(());
        };
        match privilege {
            Privilege::Nothing | Privilege::Token => Ok(()),
            Privilege::Admin if subject.has(admin) => Ok(()),
            Privilege::Admin => Err(Error::RoleRequired(admin)),
            Privilege::Introspect if subject.has(admin) || subject.has(introspect) => Ok(()),
            Privilege::Introspect => Err(Error::RoleRequired(introspect)),
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
    }
}
