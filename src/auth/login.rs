//! The proof of a password, and the login of the contract. Runs on the tx thread; passwords and signatures are the crypto
//! pool's work.

use super::password::Stored;
use super::subject::{active, record};
use super::throttle::Attempt;
use super::Auth;
use crate::storage::Users;
use crate::tx::{await_durability, log, Tx};
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_command::{Credentials, Outcome};
use authkv_domain::Subject;
use authkv_token::Bearer;
use ring::digest::{Context, SHA256};

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
    // The user may have been changed since the password was proved.
    active(tx, auth, &input.login, epoch)?.ok_or(Error::InvalidCredentials)?;
    Ok(Outcome::LoggedIn {
        token: token.text,
        token_type: "Bearer",
        expires_in: auth.tokens.ttl().as_secs(),
        login: input.login,
        jti: token.jti,
    })
}

/// What came of one comparison.
enum Proof<T> {
    Right(T),
    Wrong,
    /// The user changed meanwhile, so it says nothing.
    Changed,
}

/// Proves a password, and returns what `then` makes on the crypto pool in case it is right. A hash of the old system
/// or of another cost is replaced on the way. An unknown login, or one that is disabled, takes the time of a known one.
/// Errors: `InvalidCredentials`, `TooManyAttempts`, `Overloaded`, those of `then`. Yields.
pub fn prove<T: Send + 'static>(
    tx: &Tx,
    auth: &'static Auth,
    origin: &Origin,
    input: &Credentials,
    then: impl Fn(&Subject) -> Result<T, Error> + Clone + Send + 'static,
) -> Result<T, Error> {
    let attempt = Attempt::begin(tx, auth, &input.login, origin)?;
    // A hash that changes while it is being compared says nothing: compare with the new one, once more.
    for _ in 0..2 {
        let proof = try_prove(tx, auth, input, then.clone())?;
        // Others may have failed meanwhile: many attempts at once are worth no more than one after the other.
        attempt.check(tx, auth)?;
        match proof {
            Proof::Right(made) => {
                attempt.succeeded(tx, auth);
                // What the user was found by has to be durable before an answer says so.
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
        Some(hash) => Stored::Hash(hash.clone()),
        None => Stored::Unknown {
            bcrypt: looks_old(auth, login, users.bcrypt_share(tx)),
        },
    };
    let (password, found) = (input.password.clone(), subject.clone());
    let matched = auth.hashes.run(tx, move || {
        let verdict = auth.hasher.verify(&password, &stored);
        if !verdict.matches || !found.is_active() {
            return Ok(None);
        }
        let renewed = verdict
            .outdated
            .then(|| auth.hasher.hash(&password))
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

/// Replaces an outdated hash. Returns whether it was unchanged till then. A login does not fail because a new
/// hash cannot be written now.
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

/// Whether an unknown login is to cost what a user of the old system costs. The answer is the same for a
/// login at each try, and `yes` for as large a share of unknown logins as of known ones, so that the time a
/// login takes tells nothing about whether it is known.
fn looks_old(auth: &Auth, login: &str, share: f64) -> bool {
    let mut context = Context::new(&SHA256);
    context.update(&auth.login_salt);
    context.update(login.as_bytes());
    let digest = context.finish();
    let drawn = digest
        .as_ref()
        .iter()
        .take(4)
        .fold(0u32, |drawn, byte| drawn << 8 | u32::from(*byte));
    f64::from(drawn) < share * f64::from(u32::MAX)
}

/// Errors: `NotOffered`.
pub fn users(auth: &Auth) -> Result<&Users, Error> {
    auth.storage.users.as_ref().ok_or(Error::NotOffered)
}
