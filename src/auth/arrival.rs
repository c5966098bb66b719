//! The first request of a user of another issuer, at which the user is made. Runs on the tx thread.

use super::access;
use super::principal::Principal;
use super::subject::subject_of;
use super::Auth;
use crate::tx::{log, transaction, Tx};
use authkv_base::error::Error;
use authkv_command::Caller;
use authkv_domain::{Claims, Outside, Subject, User};

/// Whether the caller is a user of another issuer who is to be made first, which yields. Does not yield.
pub fn is_new(tx: &Tx, auth: &Auth, caller: &Caller) -> bool {
    let (Caller::Bearer(claims), Some(users)) = (caller, &auth.storage.users) else {
        return false;
    };
    let creates = claims.outside.as_ref().is_some_and(|one| one.creates);
    creates && matches!(users.contains(tx, &claims.sub), Ok(false))
}

/// Makes the user of a valid token, if there is none. If that cannot be written now, the request is served without it, and the
/// next one tries again. Yields.
pub fn make(tx: &Tx, auth: &Auth, caller: &Caller) {
    let Caller::Bearer(claims) = caller else {
        return;
    };
    let Some(outside) = &claims.outside else {
        return;
    };
    if subject_of(tx, auth, claims).is_err() {
        return;
    }
    match try_make(tx, auth, claims, outside) {
        Ok(true) => log::info(&format!(
            "the user {} of the issuer {} was made",
            claims.sub, claims.iss
        )),
        Ok(false)
        | Err(
            Error::ReadOnly { .. }
            | Error::StorageFull
            | Error::NotDurable
            | Error::TooManyUsers { .. },
        ) => {}
        Err(error) => log::warn(&format!(
            "the user {} of the issuer {} was not made: {}",
            claims.sub,
            claims.iss,
            error.row().name
        )),
    }
}

fn try_make(tx: &Tx, auth: &Auth, claims: &Claims, outside: &Outside) -> Result<bool, Error> {
    let storage = &auth.storage;
    let Some(users) = &storage.users else {
        return Ok(false);
    };
    // Like a registration: no stranger may use the memory that is reserved, or be one user too many.
    storage.reserve.admit(tx)?;
    users.check_room(tx, auth.config.live().users_max)?;
    let _registering = users.begin_registration(tx);
    transaction(tx, || {
        if users.contains(tx, &claims.sub)? {
            return Ok(false);
        }
        users.insert_outside(tx, &claims.sub, (&outside.name, &outside.surname))?;
        // Roles and keys of an earlier user of this login do not count, but what has ended stays so.
        storage
            .api_keys
            .revoke_all(tx, &storage.mirror, &claims.sub)?;
        let subject = Subject {
            roles: Vec::new(),
            disabled: false,
            ..storage.subjects.get(tx, &claims.sub)?
        };
        let mirror = &storage.mirror;
        storage.subjects.put(tx, mirror, &claims.sub, &subject)?;
        Ok(true)
    })
}

/// What the caller is told of itself: the user with the roles that the token gives. A user who could not be made yet is told as
/// one. Errors: those of `found`. Does not yield.
pub fn me(
    tx: &Tx,
    auth: &Auth,
    who: &Principal,
    found: Result<User, Error>,
) -> Result<User, Error> {
    let Some((claims, outside)) = who.outside() else {
        return found;
    };
    let user = match found {
        Err(Error::NoSuchUser) => User {
            login: claims.sub.clone(),
            name: outside.name.clone(),
            surname: outside.surname.clone(),
            created_at: None,
            disabled: false,
            roles: Vec::new(),
            email_verified: false,
        },
        found => found?,
    };
    Ok(User {
        roles: access::names(tx, auth, who.user()?.subject.clone())?,
        ..user
    })
}
