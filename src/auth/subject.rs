//! The user of a token: whether the token is valid at this moment, and how all tokens of a user end. Runs on the tx thread.

use super::{outside, Auth};
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_domain::{Claims, Subject};
use authkv_token::{AccessToken, Draft};

/// The user of a token that is valid at this moment. Errors: `Unauthenticated` if the token has expired or was revoked, or
/// if the user changed the password, was disabled or deleted; `RevocationsUnknown`. Does not yield.
pub fn subject_of(tx: &Tx, auth: &Auth, claims: &Claims) -> Result<Subject, Error> {
    let storage = &auth.storage;
    // The token may have expired since it was verified, and its revocation may be removed already.
    if !auth.tokens.is_in_time(claims) {
        return Err(Error::Unauthenticated);
    }
    auth.following.check(auth)?;
    if storage.revoked.contains(tx, claims.revocation_id())? {
        return Err(Error::Unauthenticated);
    }
    let subject = match &claims.outside {
        None => active(tx, auth, &claims.sub, claims.epoch)?,
        Some(outside) => outside::active(tx, auth, claims, outside)?,
    };
    subject.ok_or(Error::Unauthenticated)
}

/// The user of a token of that epoch, or `None` if the token is not valid any more. Does not yield.
pub fn active(tx: &Tx, auth: &Auth, login: &str, epoch: u64) -> Result<Option<Subject>, Error> {
    let subject = auth.storage.subjects.get(tx, login)?;
    let is_present = subject.is_active() && subject.epoch == epoch;
    let holds = match &auth.storage.users {
        Some(users) => is_present && users.contains(tx, login)?,
        // Epochs and changes share one sequence of numbers. An epoch above the last known change is new: its change has not
        // arrived yet. A lower epoch without a row has ended, and the record of its end was removed.
        None => is_present || epoch > subject.epoch.max(auth.following.heard()),
    };
    Ok(holds.then_some(subject))
}

/// Ends all tokens and sessions of a login, in the caller's transaction, together with the other changes of the subject.
pub fn end_all(
    tx: &Tx,
    auth: &Auth,
    login: &str,
    change: impl FnOnce(&mut Subject),
) -> Result<Subject, Error> {
    let storage = &auth.storage;
    storage.sessions.prune(tx, login, 0)?;
    storage.subjects.renew(tx, &storage.mirror, login, change)
}

/// Records when a new token expires, before anybody gets the token. Yields if there is something to write.
pub fn record(tx: &Tx, auth: &Auth, draft: Draft) -> Result<AccessToken, Error> {
    auth.storage.issued.cover(tx, draft.exp())?;
    Ok(draft.recorded())
}
