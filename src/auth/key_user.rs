//! The user of an API key that a request has, and when keys were used. Runs on the tx thread.

use super::Auth;
use crate::storage::ApiKeyRow;
use crate::tx::{is_read_only, Tx, TxCell};
use authkv_base::error::Error;
use authkv_base::steady::now;
use authkv_domain::{Claims, RoleName, Subject};
use authkv_token::ApiKey;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time between two writes of when keys were used last.
const PAUSE: Duration = Duration::from_secs(60);

/// When keys were used, since it was written last.
pub struct Uses {
    /// Seconds since 1970-01-01 UTC by the id of the key. The entry of a key that no longer exists is dropped within a minute.
    seen: TxCell<RefCell<HashMap<String, u64>>>,
    written: TxCell<Cell<Instant>>,
}

impl Uses {
    /// Nothing was used yet.
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

    /// When a key was used, if that is not written yet.
    pub fn of(&self, tx: &Tx, id: &str) -> Option<u64> {
        self.seen.get(tx).borrow().get(id).copied()
    }

    /// Forgets a key that was revoked.
    pub fn forget(&self, tx: &Tx, id: &str) {
        self.seen.get(tx).borrow_mut().remove(id);
    }
}

/// The user of a key, with the roles that the key has.
#[derive(Debug)]
pub struct KeyUser {
    pub row: Arc<ApiKeyRow>,
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
            sub: row.login.to_string(),
            jti: row.id.clone(),
            iat: row.created_at,
            nbf: row.created_at,
            exp: row.expires_at,
            username: row.login.to_string(),
            email: row.login.to_string(),
            epoch: self.subject.epoch,
            sid: None,
            outside: None,
        })
    }
}

/// The user of a key that holds at this moment. Errors: `Unauthenticated`, `RevocationsUnknown`. Does not yield.
pub fn user_of(tx: &Tx, auth: &Auth, key: &ApiKey) -> Result<KeyUser, Error> {
    let storage = &auth.storage;
    auth.following.check(auth)?;
    let row = storage.api_keys.get(tx, key.id())?;
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
    // Nobody writes or forgets them on an instance that follows another.
    if auth.config.services.auth {
        auth.uses.note(tx, &row.id);
    }
    Ok(KeyUser { row, subject })
}

/// Writes once a minute when each key was last used. A read-only instance does not write. It keeps these times until it leads,
/// and drops the times of keys that no longer exist. Errors: `NotDurable`. Yields on an instance that may write.
pub fn write_uses(tx: &Tx, auth: &Auth) -> Result<(), Error> {
    let uses = &auth.uses;
    // An instance without users does not list keys.
    if !auth.config.services.auth || uses.written.get(tx).get().elapsed() < PAUSE {
        return Ok(());
    }
    uses.written.get(tx).set(Instant::now());
    if is_read_only(tx) {
        // The leader removes keys, and only replication tells this instance.
        let is_there = |id: &String| {
            auth.storage
                .api_keys
                .get(tx, id)
                .is_ok_and(|key| key.is_some())
        };
        uses.seen.get(tx).borrow_mut().retain(|id, _| is_there(id));
        return Ok(());
    }
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
