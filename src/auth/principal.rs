//! The authenticated sender of a command. Runs on the tx thread.

use super::key_user::{user_of, KeyUser};
use super::Auth;
use super::{access, subject};
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_command::{Caller, Privilege};
use authkv_domain::{Access, Claims, Outside, RoleName, Subject};
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

/// A caller that is a user.
pub struct User<'a> {
    pub login: &'a str,
    pub subject: &'a Subject,
    /// Whether the role `default` counts, if users have it.
    pub has_default: bool,
}

impl<'a> User<'a> {
    fn of_token(claims: &'a Claims, subject: &'a Subject) -> Self {
        Self {
            login: &claims.sub,
            subject,
            has_default: true,
        }
    }

    fn of_key(user: &'a KeyUser) -> Self {
        Self {
            login: &user.row.login,
            subject: &user.subject,
            has_default: user.has_default(),
        }
    }

    /// What the user may do with keys. Does not yield.
    fn access(&self, tx: &Tx, auth: &Auth) -> Result<Access, Error> {
        access::access(tx, auth, self.login, self.subject, self.has_default)
    }
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

    /// The claims of the caller's token if it is of another issuer, and what that issuer says.
    pub fn outside(&self) -> Option<(&Claims, &Outside)> {
        match &self.0 {
            Who::User(claims, _) => Some((claims, claims.outside.as_deref()?)),
            Who::Key(..) | Who::Owner => None,
        }
    }

    /// The caller as a user. Errors: `Unauthenticated` for the owner.
    pub fn user(&self) -> Result<User<'_>, Error> {
        match &self.0 {
            Who::User(claims, subject) => Ok(User::of_token(claims, subject)),
            Who::Key(_, user) => Ok(User::of_key(user)),
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

    /// Checks that the caller may give users these roles. An API key makes no administrator, who would outlive the key. Errors:
    /// `NotForApiKeys`.
    pub fn check_gives(&self, roles: &[String]) -> Result<(), Error> {
        match roles.iter().any(|role| role == RoleName::ADMIN) {
            true => self.check_is_no_key(),
            false => Ok(()),
        }
    }

    /// What this caller may do with keys. Does not yield.
    pub fn access(&self, tx: &Tx, auth: &Auth) -> Result<Access, Error> {
        match &self.0 {
            Who::User(claims, subject) => User::of_token(claims, subject).access(tx, auth),
            Who::Key(_, user) => User::of_key(user).access(tx, auth),
            Who::Owner => Ok(Access::everything()),
        }
    }

    /// Like `access`, but authenticates the caller again, so that later changes count. Errors: also those of
    /// [`authenticate`]. Does not yield.
    pub fn access_now(&self, tx: &Tx, auth: &Auth) -> Result<Access, Error> {
        match &self.0 {
            Who::User(claims, _) => {
                let subject = subject::subject_of(tx, auth, claims)?;
                User::of_token(claims, &subject).access(tx, auth)
            }
            Who::Key(key, _) => User::of_key(&user_of(tx, auth, key)?).access(tx, auth),
            Who::Owner => Ok(Access::everything()),
        }
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
            Privilege::Admin => Err(Error::RoleRequired(admin.into())),
            Privilege::Introspect if subject.has(admin) || subject.has(introspect) => Ok(()),
            Privilege::Introspect => Err(Error::RoleRequired(introspect.into())),
            Privilege::Recovery if subject.has(admin) || subject.has_recovery() => Ok(()),
            Privilege::Recovery => Err(Error::RoleRequired(RoleName::RECOVERY.into())),
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
