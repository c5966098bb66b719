//! Refreshes of sessions. A refresh token is good for one use (RFC 9700 §4.14.2), with a time of grace: for `REFRESH_GRACE`
//! after its use it gives the same new refresh token again, to a client that has lost the answer or has two tabs. Runs on the
//! tx thread. Signatures are made on a thread of their own.

use super::derived::Purpose;
use super::refresh_token::RefreshToken;
use super::session::{begun, end, issue, peer_of};
use super::subject::{active, record};
use super::Auth;
use crate::storage::{Depth, Refreshed, SessionRow};
use crate::tx::{await_durability, Tx};
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_base::steady::{kept_until, milliseconds, now};
use authkv_command::Outcome;
use authkv_token::random;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// Bytes of the salt that is drawn at a refresh.
const SALT: usize = 16;
const UNKNOWN: Error = Error::InvalidRefreshToken { reused: None };

/// What a refresh token of a session that exists is worth.
enum Use {
    First,
    /// It was used within the time of grace, and its successor was not.
    Again(Refreshed),
    /// It is an older one.
    Reused,
}

/// What came of a transaction.
enum Done {
    /// The new refresh token, and whether it was given before.
    Refreshed(RefreshToken, bool),
    Reused(SessionRow),
}

/// Issues new tokens for a refresh token. A second use gives the same refresh token within the time of grace. Later it means
/// that the token was stolen, and ends the session. Errors: `InvalidRefreshToken`, `Overloaded`. Yields.
pub fn refresh(
    tx: &Tx,
    auth: &'static Auth,
    origin: &Origin,
    given: &SecretString,
) -> Result<Outcome, Error> {
    let given = RefreshToken::parse(given.expose_secret()).ok_or(UNKNOWN)?;
    let storage = &auth.storage;
    let session = live(tx, auth, &given)?;
    let key = auth.derived(tx, Purpose::Refreshes)?;
    // A token that was used costs no signature.
    if matches!(use_of(auth, &key, &session, &given), Use::Reused) {
        return end_reused(tx, auth, &session);
    }
    let (login, epoch, id) = (session.login, session.epoch, session.id);
    let signed = login.clone();
    // Not on the pool of hashes: sessions can be refreshed even while logins wait.
    let draft = auth
        .verifier
        .run(tx, move || issue(auth, &signed, epoch, &id))?;
    let access = record(tx, auth, draft)?;
    let salt = random::<SALT>()?;
    // Tokens of the same refresh may be issued until the time of grace is over.
    let until = kept_until(access.exp + auth.config.live().refresh_grace.as_secs());
    // Others may have refreshed the session while the token was signed.
    let done = storage.reserve.transaction(tx, Depth::Last, || {
        let session = live(tx, auth, &given)?;
        if session.epoch != epoch {
            return Err(UNKNOWN);
        }
        let tokens_until = until.max(session.tokens_until);
        match use_of(auth, &key, &session, &given) {
            Use::First => {
                let next = given.next(&key, &salt);
                let (address, agent) = peer_of(origin);
                storage.sessions.put(
                    tx,
                    &SessionRow {
                        expires_at: now() + auth.config.live().refresh_ttl.as_secs(),
                        digest: next.digest.clone(),
                        tokens_until,
                        refreshed: Some(Refreshed {
                            at: milliseconds(),
                            digest: given.digest.clone(),
                            salt: salt.to_vec(),
                        }),
                        address,
                        agent,
                        ..session
                    },
                )?;
                Ok(Done::Refreshed(next, false))
            }
            Use::Again(refreshed) => {
                let next = given.next(&key, &refreshed.salt);
                // The lifetime of tokens may have become longer.
                if tokens_until > session.tokens_until {
                    storage.sessions.put(
                        tx,
                        &SessionRow {
                            tokens_until,
                            ..session
                        },
                    )?;
                }
                Ok(Done::Refreshed(next, true))
            }
            Use::Reused => Ok(Done::Reused(session)),
        }
    })?;
    match done {
        Done::Refreshed(next, again) => {
            if again {
                // The first use may be committing still.
                await_durability(tx)?;
            }
            Ok(begun(auth, login, access, &next, again))
        }
        Done::Reused(session) => end_reused(tx, auth, &session),
    }
}

/// The session of a refresh token, if it goes on. Errors: `InvalidRefreshToken`. Does not yield.
fn live(tx: &Tx, auth: &Auth, given: &RefreshToken) -> Result<SessionRow, Error> {
    let session = auth.storage.sessions.get(tx, &given.id)?;
    let session = session.filter(|session| session.expires_at > now());
    let session = session.ok_or(UNKNOWN)?;
    active(tx, auth, &session.login, session.epoch)?.ok_or(UNKNOWN)?;
    Ok(session)
}

fn use_of(auth: &Auth, key: &hmac::Key, session: &SessionRow, given: &RefreshToken) -> Use {
    if session.digest == given.digest {
        return Use::First;
    }
    let grace = auth.config.live().refresh_grace.as_millis();
    let refreshed = session.refreshed.as_ref().filter(|refreshed| {
        // The clock may have been set back a little.
        let ago = milliseconds().abs_diff(refreshed.at);
        refreshed.digest == given.digest && u128::from(ago) < grace
    });
    // An instance with another key may have given the successor. Then nobody here can give it again.
    let again =
        refreshed.filter(|refreshed| given.next(key, &refreshed.salt).digest == session.digest);
    again.map_or(Use::Reused, |refreshed| Use::Again(refreshed.clone()))
}

/// Ends a session whose refresh token was used again.
fn end_reused(tx: &Tx, auth: &Auth, session: &SessionRow) -> Result<Outcome, Error> {
    end(tx, auth, &session.id, None)?;
    Err(Error::InvalidRefreshToken {
        reused: Some(session.login.clone()),
    })
}
