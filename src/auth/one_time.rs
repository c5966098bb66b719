//! One-time tokens, with which a user sets a new password. Whoever sends the e-mail makes them: an administrator, or a service
//! user with the role `recovery`. Runs on the tx thread.
//!
//! A token is not stored: it names the login, the epoch of the user and its own end, with an HMAC-SHA256 by a key that is derived
//! from the private key file. A new password begins a new epoch, so a token is good once, and ends with whatever else ends all
//! tokens of the user.

use super::principal::Principal;
use super::subject::{active, end_all};
use super::{login::users, Auth};
use crate::storage::Depth;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_base::steady::now;
use authkv_command::{Done, NewPassword, OneTimeToken, Outcome, ResetRequest};
use authkv_domain::{Password, RoleName};
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// Seconds that a token lives if nothing else is asked for, and the most.
const TTL: u64 = 3600;
const TTL_MAX: u64 = 7 * 86_400;
/// The most bytes of a token, to refuse others at once.
const MAX: usize = 1024;
/// Bytes of the HMAC, and of the two numbers before the login.
const TAG: usize = 32;
const NUMBERS: usize = 16;

/// Makes a token for a user. Errors: `BadOption`; `NoSuchUser`, also for a user of another issuer, who has no password; `RoleRequired` for the token of an administrator, or of another user
/// with the role `recovery`, which only an administrator may make. Does not yield.
pub fn make(
    tx: &Tx,
    auth: &Auth,
    who: &Principal,
    request: &ResetRequest,
) -> Result<Outcome, Error> {
    let ttl = match request.ttl.unwrap_or(TTL) {
        ttl @ 1..=TTL_MAX => ttl,
        _ => {
            return Err(Error::BadOption {
                name: "ttl",
                allowed: "from 1 to 604800 seconds",
            })
        }
    };
    let login = &request.login;
    if !users(auth)?.has_password(tx, login)? {
        return Err(Error::NoSuchUser);
    }
    let subject = auth.storage.subjects.get(tx, login)?;
    let is_strong = subject.has(RoleName::ADMIN) || subject.has(RoleName::RECOVERY);
    if is_strong && !who.is_admin() {
        return Err(Error::RoleRequired(RoleName::ADMIN.into()));
    }
    let expires_at = now() + ttl;
    let payload = [
        &expires_at.to_be_bytes()[..],
        &subject.epoch.to_be_bytes(),
        login.as_bytes(),
    ]
    .concat();
    let tag = hmac::sign(&auth.one_time_key, &payload);
    Ok(Outcome::OneTime(OneTimeToken {
        reset_token: URL_SAFE_NO_PAD.encode([&payload, tag.as_ref()].concat()),
        expires_at,
    }))
}

/// The login and the epoch of a token that has not ended. Errors: `InvalidResetToken`.
fn read(auth: &Auth, token: &SecretString) -> Result<(String, u64), Error> {
    let parts = || -> Option<(String, u64, u64)> {
        let text = token.expose_secret();
        let bytes = URL_SAFE_NO_PAD
            .decode((text.len() <= MAX).then_some(text)?)
            .ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        // Compares in constant time.
        hmac::verify(&auth.one_time_key, payload, tag).ok()?;
        let (numbers, login) = payload.split_at_checked(NUMBERS)?;
        let (expires_at, epoch) = numbers.split_at(NUMBERS / 2);
        Some((
            String::from_utf8(login.to_vec()).ok()?,
            u64::from_be_bytes(expires_at.try_into().ok()?),
            u64::from_be_bytes(epoch.try_into().ok()?),
        ))
    };
    let (login, expires_at, epoch) = parts().ok_or(Error::InvalidResetToken)?;
    match expires_at > now() {
        true => Ok((login, epoch)),
        false => Err(Error::InvalidResetToken),
    }
}

/// Sets the password of the user of a token, and ends all tokens and sessions. Errors: `InvalidResetToken`; `BadPassword`, which
/// leaves the token good; `Overloaded`. Yields.
pub fn reset(tx: &Tx, auth: &'static Auth, input: NewPassword) -> Result<Outcome, Error> {
    let users = users(auth)?;
    let (login, epoch) = read(auth, &input.token)?;
    active(tx, auth, &login, epoch)?.ok_or(Error::InvalidResetToken)?;
    let password = Password::uncommon(input.password, &auth.config.live().password_rules)?;
    let hash = auth.hashes.run(tx, move || auth.hash_new(&password))?;
    let gone = auth.storage.reserve.transaction(tx, Depth::Last, || {
        // The token may have been used meanwhile.
        active(tx, auth, &login, epoch)?.ok_or(Error::InvalidResetToken)?;
        let old = users.set_hash(tx, &login, &hash)?;
        end_all(tx, auth, &login, |_| ()).map(|_| old)
    })?;
    users.count_gone(tx, &gone);
    Ok(Outcome::Done(Done::Changed))
}
