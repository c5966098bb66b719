//! Sessions: an access token, a refresh token for one use (RFC 9700 §4.14.2), and their end. Runs on the tx thread.
//! Signatures are made on the crypto pool.

use super::login::prove;
use super::principal::Principal;
use super::subject::{active, end_all, record, subject_of};
use super::Auth;
use crate::storage::{Depth, SessionRow};
use crate::tx::{await_durability, Tx};
use authkv_base::clock::microseconds;
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_base::steady::{kept_until, now};
use authkv_command::{Caller, Credentials, Done, Outcome, Session, TokenType};
use authkv_domain::{RoleName, Subject};
use authkv_token::{random, AccessToken, Bearer, Draft, Known};
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use ring::digest::{digest, SHA256};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;

/// Bytes of a refresh token: a handle, which all tokens of a session share, and a secret.
const HANDLE: usize = 16;
const SECRET: usize = 32;
/// Bytes of the id of a session.
const ID: usize = 16;

/// Verifies a token: one seen before at once, a new one on a thread, which yields.
pub fn caller(tx: &Tx, auth: &'static Auth, token: String) -> Result<Caller, Error> {
    let claims = match auth.tokens.known(&token) {
        Known::Valid(claims) => Some(claims),
        Known::Invalid => None,
        Known::New => {
            let verify = move || Ok(auth.tokens.verify(&token));
            auth.verifier.run(tx, verify)?
        }
    };
    Ok(claims.map_or(Caller::Refused, Caller::Bearer))
}

/// Checks a password and begins a session. Errors: `InvalidCredentials`, `TooManyAttempts`, `Overloaded`. Yields.
pub fn login(
    tx: &Tx,
    auth: &'static Auth,
    origin: &Origin,
    input: Credentials,
) -> Result<Outcome, Error> {
    let token = RefreshToken::new()?;
    let (login, id) = (input.login.clone(), token.id.clone());
    let issue = move |subject: &Subject| {
        let access = issue(auth, &login, subject.epoch, &id)?;
        Ok((access, subject.epoch))
    };
    let (draft, epoch) = prove(tx, auth, origin, &input, issue)?;
    let access = record(tx, auth, draft)?;
    let storage = &auth.storage;
    let is_admin = storage.subjects.get(tx, &input.login)?.has(RoleName::ADMIN);
    let depth = match is_admin {
        true => Depth::Last,
        false => Depth::Ordinary,
    };
    storage.reserve.transaction(tx, depth, || {
        // The user may have changed since the password was checked.
        active(tx, auth, &input.login, epoch)?.ok_or(Error::InvalidCredentials)?;
        let kept = auth.config.live().sessions_max - 1;
        for ended in storage.sessions.prune(tx, &input.login, kept)? {
            let until = ended.tokens_until;
            storage.revoked.put(tx, &storage.mirror, &ended.id, until)?;
        }
        let row = token.row(
            auth,
            &input.login,
            epoch,
            microseconds(),
            kept_until(access.exp),
        );
        storage.sessions.put(tx, &row)
    })?;
    Ok(begun(auth, input.login, access, token))
}

/// Issues new tokens for a refresh token. It is good for one use: a second use means that it was stolen, and ends the
/// session. Errors: `InvalidRefreshToken`, `Overloaded`. Yields.
pub fn refresh(tx: &Tx, auth: &'static Auth, given: &SecretString) -> Result<Outcome, Error> {
    const UNKNOWN: Error = Error::InvalidRefreshToken { reused: None };
    let given = RefreshToken::parse(given.expose_secret()).ok_or(UNKNOWN)?;
    let storage = &auth.storage;
    let session = storage.sessions.get(tx, &given.id)?;
    let session = session.filter(|session| session.expires_at > now());
    let session = session.ok_or(UNKNOWN)?;
    active(tx, auth, &session.login, session.epoch)?.ok_or(UNKNOWN)?;
    if session.digest != given.digest {
        return end_reused(tx, auth, &session);
    }
    let (login, epoch, id) = (session.login.clone(), session.epoch, session.id.clone());
    // Not on the pool of hashes: sessions can be refreshed even while logins wait.
    let draft = auth
        .verifier
        .run(tx, move || issue(auth, &login, epoch, &id))?;
    let access = record(tx, auth, draft)?;
    let token = RefreshToken::of(&given.handle)?;
    // The lifetime of tokens may have become shorter.
    let until = kept_until(access.exp).max(session.tokens_until);
    let row = token.row(auth, &session.login, epoch, session.created_at, until);
    let is_first = storage.reserve.transaction(tx, Depth::Last, || {
        let present = storage.sessions.get(tx, &session.id)?.ok_or(UNKNOWN)?;
        if present == session {
            storage.sessions.put(tx, &row)?;
        }
        Ok(present == session)
    })?;
    match is_first {
        true => Ok(begun(auth, session.login, access, token)),
        false => end_reused(tx, auth, &session),
    }
}

/// Ends a session whose refresh token was used twice.
fn end_reused(tx: &Tx, auth: &Auth, session: &SessionRow) -> Result<Outcome, Error> {
    end(tx, auth, &session.id, None)?;
    Err(Error::InvalidRefreshToken {
        reused: Some(session.login.clone()),
    })
}

/// Revokes the caller's token and its session. Errors: `Unauthenticated` for a caller without a token. Yields.
pub fn logout(tx: &Tx, auth: &Auth, who: &Principal) -> Result<Outcome, Error> {
    let claims = who.claims()?;
    let exp = claims.sid.is_none().then_some(claims.exp);
    end(tx, auth, claims.revocation_id(), exp)?;
    Ok(Outcome::Done(Done::Revoked))
}

/// Ends the token with that id, which expires at `exp`, or the session if `exp` is `None`. Yields.
fn end(tx: &Tx, auth: &Auth, id: &str, exp: Option<u64>) -> Result<(), Error> {
    let storage = &auth.storage;
    let is_new = storage.reserve.transaction(tx, Depth::Last, || {
        let session = storage.sessions.get(tx, id)?;
        let until = match (exp, session) {
            (Some(exp), _) => exp,
            (None, Some(session)) => session.tokens_until,
            // The session has ended or was removed, but its tokens may still be valid.
            (None, None) => storage.issued.until(tx)?,
        };
        storage.sessions.delete(tx, id)?;
        storage.revoked.put(tx, &storage.mirror, id, until)
    })?;
    // Another fiber may be committing the same revocation, which has to be durable too.
    match is_new {
        true => Ok(()),
        false => await_durability(tx),
    }
}

/// Ends all tokens and sessions of the caller. Yields.
pub fn logout_all(tx: &Tx, auth: &Auth, who: &Principal) -> Result<Outcome, Error> {
    let login = &who.claims()?.sub;
    let reserve = &auth.storage.reserve;
    reserve.transaction(tx, Depth::Last, || end_all(tx, auth, login, |_| ()))?;
    Ok(Outcome::Done(Done::Revoked))
}

/// Whether a token is valid at this moment, and its claims (RFC 7662). Yields for a token not seen before.
pub fn introspect(tx: &Tx, auth: &'static Auth, token: SecretString) -> Result<Outcome, Error> {
    let claims = match caller(tx, auth, token.expose_secret().to_owned())? {
        Caller::Bearer(claims) => claims,
        _ => return Ok(Outcome::Introspected(None)),
    };
    match subject_of(tx, auth, &claims) {
        Ok(_) => Ok(Outcome::Introspected(Some(Arc::clone(&claims)))),
        Err(Error::Unauthenticated) => Ok(Outcome::Introspected(None)),
        Err(other) => Err(other),
    }
}

fn issue(auth: &Auth, login: &str, epoch: u64, id: &str) -> Result<Draft, Error> {
    auth.tokens.issue(&Bearer {
        login,
        epoch,
        session: Some(id),
    })
}

fn begun(auth: &Auth, login: String, access: AccessToken, token: RefreshToken) -> Outcome {
    Outcome::Session(Session {
        access_token: access.text,
        token_type: TokenType::Bearer,
        expires_in: auth.tokens.ttl().as_secs(),
        refresh_token: token.text,
        refresh_expires_in: auth.config.live().refresh_ttl.as_secs(),
        login,
        jti: access.jti,
    })
}

/// A handle and a secret; only digests of both are stored. The digest of the handle is the id of the session, which is in
/// access tokens. So an access token is not enough to refresh or to end the session.
struct RefreshToken {
    handle: Vec<u8>,
    id: String,
    digest: String,
    text: String,
}

impl RefreshToken {
    fn new() -> Result<Self, Error> {
        Self::of(&random::<HANDLE>()?)
    }

    /// A new token of the session with that handle.
    fn of(handle: &[u8]) -> Result<Self, Error> {
        Ok(Self::from_parts(handle, &random::<SECRET>()?))
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (handle, secret) = bytes.split_at_checked(HANDLE)?;
        (secret.len() == SECRET).then(|| Self::from_parts(handle, secret))
    }

    fn from_parts(handle: &[u8], secret: &[u8]) -> Self {
        let id = digest(&SHA256, handle);
        Self {
            handle: handle.to_vec(),
            id: URL_SAFE_NO_PAD.encode(&id.as_ref()[..ID]),
            digest: URL_SAFE_NO_PAD.encode(digest(&SHA256, secret)),
            text: URL_SAFE_NO_PAD.encode([handle, secret].concat()),
        }
    }

    fn row(
        &self,
        auth: &Auth,
        login: &str,
        epoch: u64,
        created_at: u64,
        tokens_until: u64,
    ) -> SessionRow {
        SessionRow {
            id: self.id.clone(),
            expires_at: now() + auth.config.live().refresh_ttl.as_secs(),
            login: login.to_owned(),
            created_at,
            epoch,
            tokens_until,
            digest: self.digest.clone(),
        }
    }
}
