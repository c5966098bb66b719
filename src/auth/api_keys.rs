//! API keys: secrets that programs send in place of access tokens, until they expire or are revoked. Runs on the tx thread.
//!
//! A key is of a user and never has more rights than that user. It ends with its user, but not with the user's sessions. What
//! proves or changes who somebody is, it may not do: see `Operation::refuses_api_keys`.

use super::access::granted;
use super::login::users;
use super::principal::Principal;
use super::users::check_is_there;
use super::Auth;
use crate::storage::{ApiKeyRow, Depth};
use crate::tx::{Tx, TxCell};
use authkv_base::error::Error;
use authkv_base::steady::now;
use authkv_command::{
    ApiKeyInput, ApiKeyList, Done, ListedApiKey, NewApiKey as Made, Outcome, UserApiKey,
    UserApiKeyInput,
};
use authkv_domain::{Claims, RoleName, Subject};
use authkv_token::{ApiKey, NewApiKey};
use secrecy::ExposeSecret;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most keys of a user.
const KEYS_MAX: usize = 100;
/// The most characters in the name of a key.
const NAME_MAX: usize = 64;
/// Seconds that a key lives if nothing else is asked for, and the most.
const TTL: u64 = 365 * 86_400;
const TTL_MAX: u64 = 10 * TTL;
/// The time between two writes of when keys were used last.
const PAUSE: Duration = Duration::from_secs(60);

/// When keys were used, since it was written last.
pub struct Uses {
    /// Seconds since 1970-01-01 UTC by the id of the key. There are only keys in it that exist.
    seen: TxCell<RefCell<HashMap<String, u64>>>,
    written: TxCell<Cell<Instant>>,
}

impl Uses {
    pub fn new(tx: &Tx) -> Self {
        Self {
            seen: TxCell::new(tx, RefCell::default()),
            written: TxCell::new(tx, Cell::new(Instant::now())),
        }
    }

    fn note(&self, tx: &Tx, id: &str) {
        let mut seen = self.seen.get(tx).borrow_mut();
        match seen.get_mut(id) {
            Some(used_at) => *used_at = now(),
            None => _ = seen.insert(id.to_owned(), now()),
        }
    }

    fn of(&self, tx: &Tx, id: &str) -> Option<u64> {
        self.seen.get(tx).borrow().get(id).copied()
    }
}

/// The user of a key, with the roles that the key has.
#[derive(Debug)]
pub struct KeyUser {
    pub row: ApiKeyRow,
    pub subject: Subject,
}

impl KeyUser {
    /// Whether the key has the role that every user has.
    pub fn has_default(&self) -> bool {
        let roles = self.row.roles.as_ref();
        roles.is_none_or(|roles| roles.iter().any(|role| role.name == RoleName::DEFAULT))
    }

    /// What a token of this user would say, for those that ask about it.
    pub fn claims(&self, auth: &Auth) -> Arc<Claims> {
        let row = &self.row;
        Arc::new(Claims {
            iss: auth.config.token_issuer.clone(),
            aud: auth.config.token_audience.clone(),
            sub: row.login.clone(),
            jti: row.id.clone(),
            iat: row.created_at,
            nbf: row.created_at,
            exp: row.expires_at,
            username: row.login.clone(),
            email: row.login.clone(),
            epoch: self.subject.epoch,
            sid: None,
        })
    }
}

/// The user of a key that holds at this moment. Errors: `Unauthenticated`, `RevocationsUnknown`. Does not yield.
pub fn user_of(tx: &Tx, auth: &Auth, key: &ApiKey) -> Result<KeyUser, Error> {
    let storage = &auth.storage;
    auth.following.check(auth)?;
    let row = storage.api_keys.get(tx, &key.id)?;
    let row = row.filter(|row| key.is(&row.digest) && row.expires_at > now());
    let row = row.ok_or(Error::Unauthenticated)?;
    let mut subject = storage.subjects.get(tx, &row.login)?;
    // An instance that follows another has no users. It hears of the end of a user's keys.
    let is_there = match &storage.users {
        Some(users) => users.contains(tx, &row.login)?,
        None => true,
    };
    if !is_there || !subject.is_active() {
        return Err(Error::Unauthenticated);
    }
    if let Some(roles) = &row.roles {
        subject.roles.retain(|role| roles.contains(role));
    }
    key.found(&row.login);
    auth.uses.note(tx, &row.id);
    Ok(KeyUser { row, subject })
}

/// Makes a key of the caller. Errors: `BadOption`, `NoSuchRole`, `BadRole`, `TooManyApiKeys`, `StorageFull`. Yields.
pub fn create_own(
    tx: &Tx,
    auth: &Auth,
    who: &Principal,
    input: ApiKeyInput,
) -> Result<Outcome, Error> {
    create(tx, auth, who.login()?, input, Depth::Ordinary)
}

/// Makes a key of a user, for an administrator. Errors: also `NoSuchUser`. Yields.
pub fn create_of(tx: &Tx, auth: &Auth, input: UserApiKeyInput) -> Result<Outcome, Error> {
    check_is_there(tx, auth, &input.login)?;
    create(tx, auth, &input.login, input.key, Depth::Last)
}

fn create(
    tx: &Tx,
    auth: &Auth,
    login: &str,
    input: ApiKeyInput,
    depth: Depth,
) -> Result<Outcome, Error> {
    let storage = &auth.storage;
    let key = NewApiKey::draw()?;
    let created_at = now();
    let mut row = ApiKeyRow {
        id: key.id,
        expires_at: created_at + lifetime(input.ttl)?,
        login: login.to_owned(),
        digest: key.digest,
        name: name(input.name)?,
        roles: None,
        created_at,
    };
    if let Depth::Ordinary = depth {
        storage.reserve.admit(tx)?;
    }
    storage.reserve.transaction(tx, depth, || {
        // The user may have ended since the caller was authenticated.
        check_is_there(tx, auth, login)?;
        let subject = storage.subjects.get(tx, login)?;
        let role = |name: &String| {
            let role = granted(tx, auth, name)?;
            match role.name == RoleName::DEFAULT || subject.roles.contains(&role) {
                true => Ok(role),
                false => Err(Error::BadRole("its user does not have it")),
            }
        };
        let roles = input.roles.as_ref();
        let roles = roles.map(|roles| roles.iter().map(role).collect::<Result<Vec<_>, _>>());
        row.roles = roles.transpose()?;
        let live = storage.api_keys.of(tx, login)?.into_iter();
        if live.filter(|row| row.expires_at > now()).count() >= KEYS_MAX {
            return Err(Error::TooManyApiKeys { limit: KEYS_MAX });
        }
        storage.api_keys.put(tx, &storage.mirror, &row)
    })?;
    Ok(Outcome::ApiKeyMade(Made {
        key: key.text.expose_secret().to_owned(),
        about: listed(tx, auth, row)?,
    }))
}

/// Seconds. Errors: `BadOption`.
fn lifetime(ttl: Option<u64>) -> Result<u64, Error> {
    match ttl.unwrap_or(TTL) {
        ttl @ 1..=TTL_MAX => Ok(ttl),
        _ => Err(Error::BadOption {
            name: "ttl",
            allowed: "from 1 to 315360000 seconds",
        }),
    }
}

/// Errors: `BadOption`.
fn name(name: String) -> Result<String, Error> {
    let length = name.chars().count();
    match (1..=NAME_MAX).contains(&length) && !name.chars().any(char::is_control) {
        true => Ok(name),
        false => Err(Error::BadOption {
            name: "name",
            allowed: "1 to 64 characters without control characters",
        }),
    }
}

/// The keys of the caller. Does not yield.
pub fn list_own(tx: &Tx, auth: &Auth, who: &Principal) -> Result<Outcome, Error> {
    list(tx, auth, who.login()?)
}

/// The keys of a user, for an administrator. Errors: `NoSuchUser`. Does not yield.
pub fn list_of(tx: &Tx, auth: &Auth, login: &str) -> Result<Outcome, Error> {
    check_is_there(tx, auth, login)?;
    list(tx, auth, login)
}

fn list(tx: &Tx, auth: &Auth, login: &str) -> Result<Outcome, Error> {
    let mut rows = auth.storage.api_keys.of(tx, login)?;
    rows.retain(|row| row.expires_at > now());
    rows.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
    let keys = rows.into_iter().map(|row| listed(tx, auth, row));
    Ok(Outcome::ApiKeys(ApiKeyList {
        api_keys: keys.collect::<Result<_, _>>()?,
    }))
}

fn listed(tx: &Tx, auth: &Auth, row: ApiKeyRow) -> Result<ListedApiKey, Error> {
    let written = auth.storage.api_keys.used_at(tx, &row.id)?;
    let roles = row.roles.map(|roles| {
        let names = roles.into_iter().map(|role| role.name);
        names.collect()
    });
    Ok(ListedApiKey {
        used_at: written.max(auth.uses.of(tx, &row.id)),
        api_key: row.id,
        name: row.name,
        roles,
        created_at: row.created_at,
        expires_at: row.expires_at,
    })
}

/// Revokes a key of the caller. Errors: `NoSuchApiKey`, also for a key of another user. Yields.
pub fn revoke_own(tx: &Tx, auth: &Auth, who: &Principal, id: &str) -> Result<Outcome, Error> {
    revoke(tx, auth, who.login()?, id)
}

/// Revokes a key of a user, for an administrator. Errors: `NoSuchUser`, `NoSuchApiKey`. Yields.
pub fn revoke_of(tx: &Tx, auth: &Auth, of: &UserApiKey) -> Result<Outcome, Error> {
    check_is_there(tx, auth, &of.login)?;
    revoke(tx, auth, &of.login, &of.api_key)
}

fn revoke(tx: &Tx, auth: &Auth, login: &str, id: &str) -> Result<Outcome, Error> {
    let storage = &auth.storage;
    // Keys are where the users are.
    users(auth)?;
    storage.reserve.transaction(tx, Depth::Last, || {
        let row = storage.api_keys.get(tx, id)?;
        let row = row.filter(|row| row.login == login && row.expires_at > now());
        let row = row.ok_or(Error::NoSuchApiKey)?;
        storage.api_keys.revoke(tx, &storage.mirror, &row)
    })?;
    auth.uses.seen.get(tx).borrow_mut().remove(id);
    Ok(Outcome::Done(Done::Revoked))
}

/// Writes when keys were used last, once a minute. Errors: `ReadOnly`, `NotDurable`. Yields.
pub fn write_uses(tx: &Tx, auth: &Auth) -> Result<(), Error> {
    let uses = &auth.uses;
    // An instance without users does not list keys.
    if !auth.config.services.auth || uses.written.get(tx).get().elapsed() < PAUSE {
        return Ok(());
    }
    uses.written.get(tx).set(Instant::now());
    let seen: Vec<_> = uses.seen.get(tx).borrow_mut().drain().collect();
    let written = auth.storage.api_keys.write_uses(tx, &seen);
    if written.is_err() {
        let mut kept = uses.seen.get(tx).borrow_mut();
        for (id, used_at) in seen {
            let newest = kept.entry(id).or_default();
            *newest = used_at.max(*newest);
        }
    }
    written
}
