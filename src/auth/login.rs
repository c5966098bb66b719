//! The proof of a password, and the login of `/api`. Runs on the tx thread. Passwords and signatures are computed on the
//! crypto pool.

use super::derived::Purpose;
use super::metrics::proved;
use super::password::Stored;
use super::subject::{active, record};
use super::throttle::Attempt;
use super::Auth;
use crate::storage::{Users, NO_PASSWORD};
use crate::tx::{await_durability, log, Tx};
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_command::{Credentials, Outcome, TokenType};
use authkv_domain::Subject;
use authkv_token::Bearer;
use ring::hmac;

/// Checks a password and issues a token. Errors: `InvalidCredentials`, `TooManyAttempts`, `Overloaded`. Yields.
pub fn login(
    tx: &Tx,
    auth: &'static Auth,
    origin: &Origin,
    input: Credentials,
) -> Result<Outcome, Error> {
    let login = input.login.clone();
    let issue = move |subject: &Subject| {
        let draft = auth.tokens.issue(&Bearer {
            login: &login,
            epoch: subject.epoch,
            session: None,
        })?;
        Ok((draft, subject.epoch))
    };
    let (draft, epoch) = prove(tx, auth, origin, &input, issue)?;
    let token = record(tx, auth, draft)?;
    // The user may have changed since the password was checked.
    active(tx, auth, &input.login, epoch)?.ok_or(Error::InvalidCredentials)?;
    Ok(Outcome::LoggedIn {
        token: token.text,
        token_type: TokenType::Bearer,
        expires_in: auth.tokens.ttl().as_secs(),
        login: input.login,
        jti: token.jti,
    })
}

/// The result of one comparison.
enum Proof<T> {
    Right(T),
    Wrong,
    /// The user changed meanwhile, so the result is worthless.
    Changed,
}

/// Checks a password. If it is right, returns what `then` makes on the crypto pool. A hash of the old system, or of another
/// cost, is replaced. An unknown or disabled login takes the time of a known one. Errors: `InvalidCredentials`,
/// `TooManyAttempts`, `Overloaded`, those of `then`. Yields.
pub fn prove<T: Send + 'static>(
    tx: &Tx,
    auth: &'static Auth,
    origin: &Origin,
    input: &Credentials,
    then: impl Fn(&Subject) -> Result<T, Error> + Clone + Send + 'static,
) -> Result<T, Error> {
    let result = prove_once(tx, auth, origin, input, then);
    proved(&result);
    result
}

fn prove_once<T: Send + 'static>(
    tx: &Tx,
    auth: &'static Auth,
    origin: &Origin,
    input: &Credentials,
    then: impl Fn(&Subject) -> Result<T, Error> + Clone + Send + 'static,
) -> Result<T, Error> {
    let attempt = Attempt::begin(tx, auth, &input.login, origin)?;
    // The hash may have changed during the comparison: then compare once more, with the new one.
    for _ in 0..2 {
        let proof = try_prove(tx, auth, input, then.clone())?;
        // Other attempts may have failed meanwhile: parallel attempts must gain nothing over sequential ones.
        attempt.check(tx, auth)?;
        match proof {
            Proof::Right(made) => {
                attempt.succeeded(tx, auth);
                // The row of the user has to be durable before an answer depends on it.
                await_durability(tx)?;
                return Ok(made);
            }
            Proof::Wrong => {
                attempt.failed(tx, auth);
                return Err(Error::InvalidCredentials);
            }
            Proof::Changed => {}
        }
    }
    Err(Error::InvalidCredentials)
}

fn try_prove<T: Send + 'static>(
    tx: &Tx,
    auth: &'static Auth,
    input: &Credentials,
    then: impl Fn(&Subject) -> Result<T, Error> + Send + 'static,
) -> Result<Proof<T>, Error> {
    let users = users(auth)?;
    let login = &*input.login;
    let known = users.hash(tx, login)?;
    let subject = auth.storage.subjects.get(tx, login)?;
    let stored = match &known {
        Some(hash) if hash != NO_PASSWORD => Stored::Hash(hash.clone()),
        _ => Stored::Unknown {
            bcrypt: looks_old(tx, auth, login, users.bcrypt_share(tx))?,
        },
    };
    let (password, found) = (input.password.clone(), subject.clone());
    let matched = auth.hashes.run(tx, move || {
        let verdict = auth.hasher.load().verify(&password, &stored);
        if !verdict.matches || !found.is_active() {
            return Ok(None);
        }
        let renewed = verdict
            .outdated
            .then(|| auth.hasher.load().hash(&password))
            .transpose()?;
        Ok(Some((then(&found)?, renewed)))
    })?;
    let unchanged =
        users.hash(tx, login)? == known && auth.storage.subjects.get(tx, login)? == subject;
    Ok(match (matched, known) {
        _ if !unchanged => Proof::Changed,
        (Some((made, Some(hash))), Some(known)) => match renew(tx, users, login, &known, &hash) {
            true => Proof::Right(made),
            false => Proof::Changed,
        },
        (Some((made, None)), Some(_)) => Proof::Right(made),
        _ => Proof::Wrong,
    })
}

/// Replaces an outdated hash. Returns whether the old hash was still there. A login does not fail if the new hash cannot be
/// written.
fn renew(tx: &Tx, users: &Users, login: &str, old: &str, new: &str) -> bool {
    users
        .replace_hash(tx, login, old, new)
        .unwrap_or_else(|error| {
            log::warn(&format!(
                "a password hash was not renewed: {}",
                error.row().name
            ));
            true
        })
}

/// Whether an unknown login takes as long as a user of the old system. The answer for a login never changes, and is `true`
/// for the same share of unknown logins as of known ones. So the time of a login does not reveal whether it is known.
fn looks_old(tx: &Tx, auth: &Auth, login: &str, share: f64) -> Result<bool, Error> {
    let key = auth.derived(tx, Purpose::UnknownLogins)?;
    let digest = hmac::sign(&key, login.as_bytes());
    let drawn = digest
        .as_ref()
        .iter()
        .take(4)
        .fold(0u32, |drawn, byte| drawn << 8 | u32::from(*byte));
    Ok(f64::from(drawn) < share * f64::from(u32::MAX))
}

/// Errors: `NotOffered`.
pub fn users(auth: &Auth) -> Result<&Users, Error> {
    auth.storage.users.as_ref().ok_or(Error::NotOffered)
}
