//! The ring of keys: made at the start, rotated, retired, and reloaded if another instance has changed it. Runs on the tx
//! thread. Keys are made and files are written on the crypto pool.
//!
//! Public keys and their times are in a space, so that every instance has them. A private key never leaves the instance
//! that made it. The key of the settings belongs to the ring, and signs until there is another.

use super::key_files as files;
use super::Auth;
use crate::storage::{Depth, TokenKey};
use crate::tx::hop::{self, Told};
use crate::tx::{is_read_only, log, Tx, TxCell};
use authkv_base::error::Error;
use authkv_base::steady::now;
use authkv_command::{Outcome, SigningKey, SigningKeys};
use authkv_config::Config;
use authkv_jwks::Sources;
use authkv_token::key::{PrivateKey, PublicKey};
use authkv_token::ring::{Ring, RingKey};
use jsonwebtoken::EncodingKey;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an instance knows of its keys, beside what is in the space.
pub struct Keyring {
    /// The directory of the private keys that this instance has made.
    directory: PathBuf,
    state: TxCell<RefCell<State>>,
}

struct State {
    /// Private keys by id.
    held: BTreeMap<String, EncodingKey>,
    /// Public keys from files. They may be missing in the space.
    files: Vec<PublicKey>,
    /// The rows from which the ring was made.
    rows: Vec<TokenKey>,
    /// The file of public keys is being written.
    writing: bool,
    /// The file of public keys is outdated.
    unwritten: bool,
    /// Why it could not be written, as it was logged last.
    logged: Option<String>,
}

/// The keys in files at the start.
pub struct Files {
    /// The key of the settings; `None` if this instance only verifies.
    pub main: Option<PrivateKey>,
    others: Vec<PrivateKey>,
    public: Vec<PublicKey>,
    /// Other issuers, with their keys.
    pub issuers: Sources,
}

impl Files {
    /// Reads the files, and makes what is missing. The error names the file and what is wrong with it. Blocks.
    pub fn load(config: &Config) -> Result<Self, String> {
        let own = &config.token_issuer;
        let issuers = match &config.trusted_issuers {
            Some(file) => Sources::load(file, &config.data_dir, own)?,
            None => Sources::default(),
        };
        if !config.services.auth {
            let public = files::load_public(&config.public_key_file).map_err(|e| {
                format!("{e}: the authorization instance writes it when it starts first")
            })?;
            return Ok(Self {
                main: None,
                others: Vec::new(),
                public,
                issuers,
            });
        }
        let main = files::load_or_make(config)?;
        Ok(Self {
            public: vec![main.public().clone()],
            others: files::load_all(&files::ring_directory(config))?,
            main: Some(main),
            issuers,
        })
    }
}

impl Keyring {
    pub fn new(tx: &Tx, config: &Config, files: &Files) -> Self {
        let keys = files.main.iter().chain(&files.others);
        let held = keys.map(|key| (key.public().id().to_owned(), key.encoding_key()));
        Self {
            directory: files::ring_directory(config),
            state: TxCell::new(
                tx,
                RefCell::new(State {
                    held: held.collect(),
                    files: files.public.clone(),
                    rows: Vec::new(),
                    writing: false,
                    unwritten: false,
                    logged: None,
                }),
            ),
        }
    }

    /// The rows from which the ring was made.
    pub fn rows(&self, tx: &Tx) -> Vec<TokenKey> {
        self.state.get(tx).borrow().rows.clone()
    }

    /// The directory of the private keys that this instance has made.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The ids of the private keys of this instance.
    pub fn held(&self, tx: &Tx) -> Vec<String> {
        self.state.get(tx).borrow().held.keys().cloned().collect()
    }

    /// Adds a private key.
    pub fn hold(&self, tx: &Tx, key: &PrivateKey) {
        let id = key.public().id().to_owned();
        let mut state = self.state.get(tx).borrow_mut();
        state.held.insert(id, key.encoding_key());
    }

    /// Removes a private key.
    pub fn release(&self, tx: &Tx, kid: &str) {
        self.state.get(tx).borrow_mut().held.remove(kid);
    }

    /// Notes that the file of public keys is outdated.
    pub fn outdate_file(&self, tx: &Tx) {
        self.state.get(tx).borrow_mut().unwritten = true;
    }

    /// Runs `write` while the file is outdated, until it succeeds or fails. A failure is logged when it begins. One fiber at a
    /// time. May yield.
    pub fn update_file(&self, tx: &Tx, mut write: impl FnMut() -> Result<(), String>) {
        let state = self.state.get(tx);
        if std::mem::replace(&mut state.borrow_mut().writing, true) {
            return;
        }
        while std::mem::take(&mut state.borrow_mut().unwritten) {
            let failed = write().err();
            let mut state = state.borrow_mut();
            state.unwritten = failed.is_some();
            if state.logged != failed {
                match &failed {
                    Some(what) => log::warn(&format!("{what}: it is tried again each second")),
                    None => log::info("the file of public keys is written again"),
                }
                state.logged.clone_from(&failed);
            }
            if failed.is_some() {
                break;
            }
        }
        state.borrow_mut().writing = false;
    }
}

/// The public keys that verify at present.
pub fn published(auth: &Auth) -> Vec<PublicKey> {
    auth.tokens.ring().published(now()).cloned().collect()
}

/// Adds the key of the settings to the space, if it is missing. A retired key is still in the space, and stays retired. A
/// read-only instance has the leader add it; until that has come back by replication, the key does not sign.
pub fn publish_own(tx: &Tx, auth: &Auth) -> Result<(), Error> {
    let storage = &auth.storage;
    if !auth.config.services.auth {
        return Ok(());
    }
    let own = auth.keyring.state.get(tx).borrow().files.clone();
    for key in own {
        if storage.token_keys.get(tx, key.id())?.is_some() {
            continue;
        }
        // Tarantool logs each refused write.
        if is_read_only(tx) {
            publish_at_leader(tx, auth, &key);
            continue;
        }
        match publish(tx, auth, &key) {
            Ok(()) | Err(Error::ReadOnly { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Adds a key to the space, if it is missing. Yields.
fn publish(tx: &Tx, auth: &Auth, key: &PublicKey) -> Result<(), Error> {
    let storage = &auth.storage;
    let row = row(key, now());
    storage.reserve.transaction_if(tx, Depth::Last, || {
        // Another fiber may be committing it at this moment.
        let is_new = storage.token_keys.get(tx, key.id())?.is_none();
        if is_new {
            storage.token_keys.put(tx, &storage.mirror, &row)?;
        }
        Ok(((), is_new))
    })
}

/// Has the leader of the replica set publish a key of this instance, so that tokens of this instance hold everywhere as soon as it
/// leads. The upkeep tries what fails again. Yields.
fn publish_at_leader(tx: &Tx, auth: &Auth, key: &PublicKey) {
    const PATIENCE: Duration = Duration::from_secs(2);
    if auth.config.replication_password.is_none() {
        return;
    }
    if let Told::Answered(reply) = hop::ask(tx, "key_publish", key.to_pem().as_bytes(), PATIENCE) {
        if let Some((Some(position), _)) = hop::read_reply(&reply) {
            hop::await_position(tx, &position, PATIENCE);
        }
    }
}

/// The most keys without an end that there may be for another instance to publish one more.
const OTHERS_MAX: usize = 100;

/// Publishes the key of another instance of the replica set, given as PEM. A key that is known stays as it is, also if it was
/// retired. Errors: `Malformed` if it is no key that may sign tokens, `TooManyKeys`, and any error of a write. Yields.
pub fn publish_of_other(tx: &Tx, auth: &Auth, pem: &[u8]) -> Result<(), Error> {
    let key = std::str::from_utf8(pem).ok();
    let key = key.and_then(|pem| PublicKey::from_pem(pem).ok());
    let key = key.ok_or_else(|| Error::malformed("There is no public key that may sign tokens"))?;
    let rows = auth.storage.token_keys.all(tx)?;
    if rows.iter().any(|row| row.kid == key.id()) {
        return Ok(());
    }
    let lasting = rows.iter().filter(|row| row.verifies_until.is_none());
    if lasting.count() >= OTHERS_MAX {
        return Err(Error::TooManyKeys { limit: OTHERS_MAX });
    }
    publish(tx, auth, &key)?;
    log::info(&format!(
        "the key {} of another instance of the replica set is published",
        key.id()
    ));
    Ok(())
}

/// The row of a key that signs from `signs_from` on.
pub fn row(key: &PublicKey, signs_from: u64) -> TokenKey {
    TokenKey {
        kid: key.id().to_owned(),
        verifies_until: None,
        number: 0,
        pem: key.to_pem(),
        created_at: now(),
        signs_from,
    }
}

/// Makes the ring of these rows and of the keys in files.
pub fn load(tx: &Tx, auth: &Auth, rows: Vec<TokenKey>) {
    let mut state = auth.keyring.state.get(tx).borrow_mut();
    let mut keys = Vec::new();
    for row in &rows {
        let Ok(public) = PublicKey::from_pem(&row.pem) else {
            log::error(
                "the space authkv_token_key holds a key that cannot be read: it is left out",
            );
            continue;
        };
        keys.push(RingKey {
            verifying: public.decoding_key(),
            signing: state.held.get(public.id()).cloned(),
            public,
            signs_from: row.signs_from,
            number: row.number,
            verifies_until: row.verifies_until,
        });
    }
    for public in &state.files {
        if rows.iter().all(|row| row.kid != public.id()) {
            // The key is not in the space, so other instances would refuse its tokens: it verifies and does not sign.
            keys.push(RingKey::permanent(public.clone(), None));
        }
    }
    state.rows = rows;
    auth.tokens.set_ring(Ring::new(keys));
}

/// The public keys, for other services (RFC 7517). Does not yield.
pub fn key_set(auth: &Auth) -> Outcome {
    Outcome::KeySet {
        keys: auth.tokens.ring().key_set(now()),
    }
}

/// All published keys, with their times. Does not yield.
pub fn list(tx: &Tx, auth: &Auth) -> Result<Outcome, Error> {
    let time = now();
    let ring = auth.tokens.ring();
    let signer = auth.tokens.signing_key();
    let rows = auth.storage.token_keys.all(tx)?;
    let counting = rows.iter().filter_map(|row| {
        let (key, _) = ring.find(&row.kid, time)?;
        Some(SigningKey {
            kid: row.kid.clone(),
            alg: key.algorithm(),
            created_at: row.created_at,
            signs_from: row.signs_from,
            verifies_until: row.verifies_until,
            signs: signer.as_deref() == Some(key.id()),
        })
    });
    let mut keys: Vec<SigningKey> = counting.collect();
    keys.sort_by_key(|key| key.signs_from);
    Ok(Outcome::Keys(SigningKeys { keys }))
}
