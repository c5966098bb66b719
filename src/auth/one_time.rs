//! One-time tokens, with which a user sets a new password, or shows to read what is sent to the e-mail address. Whoever sends the
//! e-mail makes them: an administrator, or a service user with the role `recovery`. Runs on the tx thread.
//!
//! A token is not stored: it names the login, the epoch of the user and its own end, with an HMAC-SHA256 by a [derived](super::derived)
//! key, over these and the purpose. It ends with whatever ends all tokens of the user, because that begins a
//! new epoch. A new password does too, and an address is verified once: so a token is good once.

use super::derived;
use super::principal::Principal;
use super::subject::{active, end_all};
use super::{login::users, Auth};
use crate::storage::Depth;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_base::steady::now;
use authkv_command::{
    Done, NewPassword, OneTimeRequest, OneTimeToken, Outcome, Privilege, VerificationToken,
    VerifiedEmail,
};
use authkv_domain::{Login, Password, RoleName};
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

/// What a token is good for. The HMAC covers this byte, so that no token is good for anything else.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Purpose {
    Password = b'p',
    Email = b'e',
}

/// Makes a token for a new password of a user. Errors: `BadOption`; `NoSuchUser`, also for a user of another issuer, who has no
/// password; for the token of an administrator, or of another user with the role `recovery`, `RoleRequired` if the caller is no
/// administrator, and `NotForApiKeys` for an API key, which sets no password of who may do as much as itself. Does not yield.
pub fn make(
    tx: &Tx,
    auth: &Auth,
    who: &Principal,
    request: &OneTimeRequest,
) -> Result<Outcome, Error> {
    let expires_at = end(request)?;
    let login = &request.login;
    if !users(auth)?.has_password(tx, login)? {
        return Err(Error::NoSuchUser);
    }
    let subject = auth.storage.subjects.get(tx, login)?;
    let is_strong = subject.has(RoleName::ADMIN) || subject.has(RoleName::RECOVERY);
    if is_strong {
        who.check(Privilege::Admin)?;
        who.check_is_no_key()?;
    }
    Ok(Outcome::OneTime(OneTimeToken {
        reset_token: sign(
            tx,
            auth,
            Purpose::Password,
            (login, subject.epoch, expires_at),
        )?,
        expires_at,
    }))
}

/// Makes a token that verifies the address of a user. Errors: `BadOption`, `NoSuchUser`; `BadLogin` for a login that is no e-mail
/// address. Does not yield.
pub fn make_for_email(tx: &Tx, auth: &Auth, request: &OneTimeRequest) -> Result<Outcome, Error> {
    let expires_at = end(request)?;
    let login = &request.login;
    if !users(auth)?.has_password(tx, login)? {
        return Err(Error::NoSuchUser);
    }
    if !Login::is_address(login) {
        return Err(Error::BadLogin("it is no e-mail address"));
    }
    let epoch = auth.storage.subjects.get(tx, login)?.epoch;
    Ok(Outcome::Verification(VerificationToken {
        verification_token: sign(tx, auth, Purpose::Email, (login, epoch, expires_at))?,
        expires_at,
    }))
}

/// When the token that is asked for ends, in seconds since 1970. Errors: `BadOption`.
fn end(request: &OneTimeRequest) -> Result<u64, Error> {
    match request.ttl.unwrap_or(TTL) {
        ttl @ 1..=TTL_MAX => Ok(now() + ttl),
        _ => Err(Error::BadOption {
            name: "ttl",
            allowed: "from 1 to 604800 seconds",
        }),
    }
}

/// Errors: `NotOffered`, `Internal`: see [`Auth::derived`]. Does not yield.
fn sign(
    tx: &Tx,
    auth: &Auth,
    purpose: Purpose,
    (login, epoch, expires_at): (&str, u64, u64),
) -> Result<String, Error> {
    let payload = [
        &[purpose as u8][..],
        &expires_at.to_be_bytes(),
        &epoch.to_be_bytes(),
        login.as_bytes(),
    ]
    .concat();
    let key = auth.derived(tx, derived::Purpose::OneTimeTokens)?;
    let tag = hmac::sign(&key, &payload);
    Ok(URL_SAFE_NO_PAD.encode([&payload[1..], tag.as_ref()].concat()))
}

/// The login and the epoch of a token that has not ended. Errors: `InvalidOneTimeToken`.
fn read(
    tx: &Tx,
    auth: &Auth,
    purpose: Purpose,
    token: &SecretString,
) -> Result<(String, u64), Error> {
    let key = auth.derived(tx, derived::Purpose::OneTimeTokens)?;
    let parts = || -> Option<(String, u64, u64)> {
        let text = token.expose_secret();
        let bytes = URL_SAFE_NO_PAD
            .decode((text.len() <= MAX).then_some(text)?)
            .ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        // Compares in constant time.
        let signed = [&[purpose as u8], payload].concat();
        hmac::verify(&key, &signed, tag).ok()?;
        let (numbers, login) = payload.split_at_checked(NUMBERS)?;
        let (expires_at, epoch) = numbers.split_at(NUMBERS / 2);
        Some((
            String::from_utf8(login.to_vec()).ok()?,
            u64::from_be_bytes(expires_at.try_into().ok()?),
            u64::from_be_bytes(epoch.try_into().ok()?),
        ))
    };
    let (login, expires_at, epoch) = parts().ok_or(Error::InvalidOneTimeToken)?;
    match expires_at > now() {
        true => Ok((login, epoch)),
        false => Err(Error::InvalidOneTimeToken),
    }
}

/// Sets the password of the user of a token, and ends all tokens and sessions. Errors: `InvalidOneTimeToken`; `BadPassword`, which
/// leaves the token good; `Overloaded`. Yields.
pub fn reset(tx: &Tx, auth: &'static Auth, input: NewPassword) -> Result<Outcome, Error> {
    let users = users(auth)?;
    let (login, epoch) = read(tx, auth, Purpose::Password, &input.token)?;
    active(tx, auth, &login, epoch)?.ok_or(Error::InvalidOneTimeToken)?;
    let password = Password::uncommon(input.password, &auth.config.live().password_rules)?;
    let hash = auth.hashes.run(tx, move || auth.hash_new(&password))?;
    let gone = auth.storage.reserve.transaction(tx, Depth::Last, || {
        // The token may have been used meanwhile.
        active(tx, auth, &login, epoch)?.ok_or(Error::InvalidOneTimeToken)?;
        let old = users.set_hash(tx, &login, &hash)?;
        end_all(tx, auth, &login, |_| ()).map(|_| old)
    })?;
    users.count_gone(tx, &gone);
    Ok(Outcome::Done(Done::Changed))
}

/// Notes that the address of the user of a token is verified. Errors: `InvalidOneTimeToken`, also if it is verified already.
/// Yields.
pub fn verify_email(tx: &Tx, auth: &Auth, token: &SecretString) -> Result<Outcome, Error> {
    let users = users(auth)?;
    let (login, epoch) = read(tx, auth, Purpose::Email, token)?;
    let is_first = auth.storage.reserve.transaction(tx, Depth::Last, || {
        active(tx, auth, &login, epoch)?.ok_or(Error::InvalidOneTimeToken)?;
        users.verify_email(tx, &login)
    })?;
    match is_first {
        true => Ok(Outcome::EmailVerified(VerifiedEmail {
            login,
            email_verified: true,
        })),
        false => Err(Error::InvalidOneTimeToken),
    }
}
