//! Sessions: how they begin and end, and which ones a user has. Runs on the tx thread. Signatures are made on the crypto pool.

use super::login::{prove, users};
use super::principal::{authenticate, Principal};
use super::refresh_token::RefreshToken;
use super::subject::{active, end_all, record};
use super::users::check_is_there;
use super::Auth;
use crate::storage::{Depth, SessionRow};
use crate::tx::{await_durability, Tx};
use authkv_base::clock::microseconds;
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_base::steady::{kept_until, now};
use authkv_command::{
    ActiveSession, Caller, Credentials, Done, Introspection, Outcome, Session, SessionList,
    TokenType, UserSession,
};
use authkv_domain::{Claims, RoleName, Subject};
use authkv_token::{AccessToken, ApiKey, Bearer, Draft, Known};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;

/// How many sessions a list has at most: the newest ones.
const LIST_MAX: usize = 1000;
/// How many characters of what a client calls itself are kept.
const AGENT_MAX: usize = 255;

/// Verifies a token: one seen before at once, a new one on a thread, which yields.
pub fn caller(tx: &Tx, auth: &'static Auth, token: String) -> Result<Caller, Error> {
    if let Some(key) = ApiKey::read(&token) {
        return Ok(Caller::Key(Arc::new(key)));
    }
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
        let (address, agent) = peer_of(origin);
        let row = SessionRow {
            id: token.id.clone(),
            expires_at: now() + auth.config.live().refresh_ttl.as_secs(),
            login: input.login.clone(),
            created_at: microseconds(),
            epoch,
            tokens_until: kept_until(access.exp),
            digest: token.digest.clone(),
            refreshed: None,
            address,
            agent,
        };
        storage.sessions.put(tx, &row)
    })?;
    Ok(begun(auth, input.login, access, &token, false))
}

/// Revokes the caller's token and its session. Errors: `Unauthenticated` for a caller without a token. Yields.
pub fn logout(tx: &Tx, auth: &Auth, who: &Principal) -> Result<Outcome, Error> {
    let claims = who.claims()?;
    let exp = claims.sid.is_none().then_some(claims.exp);
    end(tx, auth, claims.revocation_id(), exp)?;
    Ok(Outcome::Done(Done::Revoked))
}

/// Ends the token with that id, which expires at `exp`, or the session if `exp` is `None`. Yields.
pub fn end(tx: &Tx, auth: &Auth, id: &str, exp: Option<u64>) -> Result<(), Error> {
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
    let caller = caller(tx, auth, token.expose_secret().to_owned())?;
    match authenticate(tx, auth, &caller) {
        Ok(who) => {
            let claims = who.described(auth);
            let found = claims.map(|claims| described(tx, auth, claims));
            found.transpose().map(Outcome::Introspected)
        }
        Err(Error::Unauthenticated) => Ok(Outcome::Introspected(None)),
        Err(other) => Err(other),
    }
}

/// A valid token, and what is known of its user besides. Does not yield.
fn described(tx: &Tx, auth: &Auth, claims: Arc<Claims>) -> Result<Introspection, Error> {
    let user = users(auth)?.get(tx, &claims.sub)?;
    Ok(Introspection {
        email_verified: user.is_some_and(|user| user.email_verified),
        claims,
    })
}

/// The sessions of the caller. Errors: `Unauthenticated` for a caller without a token. Does not yield.
pub fn list_own(tx: &Tx, auth: &Auth, who: &Principal) -> Result<Outcome, Error> {
    let claims = who.claims()?;
    list(tx, auth, &claims.sub, claims.sid.as_deref())
}

/// The sessions of a user, for an administrator. Errors: `NoSuchUser`. Does not yield.
pub fn list_of(tx: &Tx, auth: &Auth, who: &Principal, login: &str) -> Result<Outcome, Error> {
    check_is_there(tx, auth, login)?;
    let current = who.claims().ok().and_then(|claims| claims.sid.as_deref());
    list(tx, auth, login, current)
}

/// The newest sessions of a login, the newest first.
fn list(tx: &Tx, auth: &Auth, login: &str, current: Option<&str>) -> Result<Outcome, Error> {
    let epoch = auth.storage.subjects.get(tx, login)?.epoch;
    let rows = auth.storage.sessions.of(tx, login)?.into_iter().rev();
    let live = rows.filter(|row| row.epoch == epoch && row.expires_at > now());
    let sessions = live.take(LIST_MAX).map(|row| ActiveSession {
        current: current == Some(&*row.id),
        session: row.id,
        created_at: row.created_at / 1_000_000,
        refreshed_at: row.refreshed.map(|refreshed| refreshed.at / 1000),
        expires_at: row.expires_at,
        address: row.address,
        user_agent: row.agent,
    });
    Ok(Outcome::Sessions(SessionList {
        sessions: sessions.collect(),
    }))
}

/// Ends one session of the caller. Errors: `NoSuchSession`, also for a session of another user; `Unauthenticated` for a caller
/// without a token. Yields.
pub fn revoke_own(tx: &Tx, auth: &Auth, who: &Principal, id: &str) -> Result<Outcome, Error> {
    revoke(tx, auth, &who.claims()?.sub, id)
}

/// Ends one session of a user, for an administrator. Errors: `NoSuchUser`, `NoSuchSession`. Yields.
pub fn revoke_of(tx: &Tx, auth: &Auth, of: &UserSession) -> Result<Outcome, Error> {
    check_is_there(tx, auth, &of.login)?;
    revoke(tx, auth, &of.login, &of.session)
}

fn revoke(tx: &Tx, auth: &Auth, login: &str, id: &str) -> Result<Outcome, Error> {
    let session = auth.storage.sessions.get(tx, id)?;
    let is_live = |row: &SessionRow| row.login == login && row.expires_at > now();
    let session = session.filter(is_live).ok_or(Error::NoSuchSession)?;
    active(tx, auth, login, session.epoch)?.ok_or(Error::NoSuchSession)?;
    end(tx, auth, id, None)?;
    Ok(Outcome::Done(Done::Revoked))
}

/// The IP address of the client, and what it calls itself, to be kept with a session.
pub fn peer_of(origin: &Origin) -> (Option<String>, Option<String>) {
    let address = origin.peer.address().map(|address| address.to_string());
    let agent = origin.agent.as_ref().map(|agent| {
        let shown = agent.chars().filter(|char| !char.is_control());
        shown.take(AGENT_MAX).collect()
    });
    (address, agent)
}

/// A draft of an access token of a session. Costs a signature.
pub fn issue(auth: &Auth, login: &str, epoch: u64, id: &str) -> Result<Draft, Error> {
    auth.tokens.issue(&Bearer {
        login,
        epoch,
        session: Some(id),
    })
}

/// The answer to a login or a refresh. `again`: the refresh token was given before.
pub fn begun(
    auth: &Auth,
    login: String,
    access: AccessToken,
    token: &RefreshToken,
    again: bool,
) -> Outcome {
    Outcome::Session(Session {
        access_token: access.text,
        token_type: TokenType::Bearer,
        expires_in: auth.tokens.ttl().as_secs(),
        refresh_token: token.text(),
        refresh_expires_in: auth.config.live().refresh_ttl.as_secs(),
        login,
        jti: access.jti,
        again,
    })
}
