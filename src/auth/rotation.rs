//! Makes and retires keys while an instance runs. Runs on the tx thread. Keys are made on a thread of their own, files are
//! written on the crypto pool.

use super::key_files as files;
use super::keyring::{load, publish_of_other, publish_own, published, row};
use super::Auth;
use crate::storage::{Depth, TokenKey};
use crate::tx::{is_read_only, log, Tx};
use authkv_base::clock;
use authkv_base::error::Error;
use authkv_base::steady::now;
use authkv_command::{NewSigningKey, Outcome, RetiredSigningKey};
use authkv_token::key::PrivateKey;

/// The end of a retired key's time: it never verifies, even if the clock is set back.
const RETIRED: u64 = 0;

/// Makes the first ring. With `alone`, no other image of the library may be making a key for the same directory. The error
/// says what is wrong. Yields.
pub fn open(tx: &Tx, auth: &'static Auth, alone: bool) -> Result<(), String> {
    let before = auth.storage.token_keys.all(tx);
    let has_rows = !before.map_err(|e| e.to_string())?.is_empty();
    match refresh(tx, auth) {
        Err(Error::NotDurable) => {
            log::warn("keys cannot be published now: it is tried again each second");
        }
        other => other.map_err(|e| e.to_string())?,
    }
    if !auth.config.services.auth {
        return Ok(());
    }
    // Without any row the data is new, or was lost while the files were not.
    if alone && has_rows && !is_read_only(tx) {
        remove_strays(tx, auth);
    }
    for row in auth.keyring.rows(tx) {
        if row.verifies_until.is_none() && !auth.keyring.held(tx).contains(&row.kid) {
            let kid = row.kid;
            log::info(&format!(
                "tokens of the key {kid} hold, but this instance cannot sign with it: where no other can, retire it"
            ));
        }
    }
    let checked = auth.hashes.run(tx, || {
        let tokens = &auth.tokens;
        let signs = match tokens.signing_key() {
            Some(_) => tokens.check_signing(),
            None => Ok(()),
        };
        let file = &auth.config.private_key_file;
        let signs = signs.map_err(|e| format!("{}: {e}", file.display()));
        Ok(signs.and_then(|()| files::is_outdated(&auth.config, &published(auth))))
    });
    if checked.unwrap_or_else(|error| Err(error.to_string()))? {
        auth.keyring.outdate_file(tx);
        write_public(tx, auth);
    }
    Ok(())
}

/// Removes the private keys that a rotation or a retirement has left, because the process was killed in the middle: no row
/// names them, or their row says that they are retired. Yields.
fn remove_strays(tx: &Tx, auth: &'static Auth) {
    let rows = auth.keyring.rows(tx);
    let used = rows
        .into_iter()
        .filter(|row| row.verifies_until != Some(RETIRED));
    let used: Vec<String> = used.map(|row| row.kid).collect();
    let named = &auth.config.private_key_file;
    let remove = move || Ok(files::remove_strays(auth.keyring.directory(), &used, named));
    match auth.hashes.run(tx, remove).and_then(logged) {
        Ok(removed) => {
            for kid in removed {
                auth.keyring.release(tx, &kid);
                log::info(&format!(
                    "the private key {kid} is removed: it was never published, or is retired"
                ));
            }
        }
        Err(error) => warn("left private keys were not removed", Err(error)),
    }
}

/// Reloads the ring if the space has changed, by replication or by following. Makes a new key if no key of this instance
/// signs. Yields if there is something to write.
pub fn refresh(tx: &Tx, auth: &'static Auth) -> Result<(), Error> {
    // A leader may have begun another generation.
    auth.storage.generation.read(tx)?;
    let published = publish_own(tx, auth);
    lengthen(tx, auth)?;
    let rows = auth.storage.token_keys.all(tx)?;
    let is_same = auth.keyring.rows(tx) == rows;
    if !is_same || auth.tokens.ring().is_empty() {
        load(tx, auth, rows);
    }
    published?;
    let signs = auth.tokens.signing_key().is_some();
    if auth.config.services.auth && !signs {
        // All keys of this instance may be retired, or another instance with the same file has rotated them.
        match rotate(tx, auth, Some(0)) {
            Ok(_) => log::warn("no key of this instance signed any more: another one does now"),
            Err(Error::ReadOnly { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Two looks at the clocks differ by seconds that begin at different moments. A key verifies for a minute longer than it has to.
const ROUNDED: u64 = 5;

/// How long a key has to verify that signs until `signs_until`. Does not yield.
fn verifies_until(tx: &Tx, auth: &Auth, signs_until: u64) -> Result<u64, Error> {
    // Tokens expire by the wall clock, which may be ahead.
    let rest = signs_until.saturating_sub(now());
    let last = signs_until.max(clock::now() + rest) + auth.tokens.ttl().as_secs();
    // Tokens that were given before may live longer.
    let last = last.max(auth.storage.issued.until(tx)?);
    Ok(auth.tokens.accepted_until(last))
}

/// Lets the key that signs until a later one does verify longer, if the lifetime of its tokens has grown since the rotation.
/// Yields if there is something to write.
fn lengthen(tx: &Tx, auth: &Auth) -> Result<(), Error> {
    let Some(signer) = auth.tokens.signing_key() else {
        return Ok(());
    };
    let (rows, held) = (auth.keyring.rows(tx), auth.keyring.held(tx));
    let is_short = |row: &TokenKey, until| {
        let ends = row.verifies_until.filter(|ends| *ends != RETIRED);
        row.kid == signer && ends.is_some_and(|ends| ends + ROUNDED < until)
    };
    let time = now();
    let later = rows
        .iter()
        .filter(|row| row.signs_from > time && held.contains(&row.kid));
    let signs_until = later.map(|row| row.signs_from).min().unwrap_or(time);
    let until = verifies_until(tx, auth, signs_until)?;
    if is_read_only(tx) || !rows.iter().any(|row| is_short(row, until)) {
        return Ok(());
    }
    let storage = &auth.storage;
    let written = storage.reserve.transaction_if(tx, Depth::Last, || {
        let mut rows = storage.token_keys.all(tx)?;
        rows.sort_by_key(|row| row.number);
        let from = rows.iter().position(|row| is_short(row, until));
        let Some(from) = from else {
            return Ok(((), false));
        };
        rows[from].verifies_until = Some(until);
        // Later keys keep higher numbers, by which they follow it.
        let changed = rows[from..]
            .iter()
            .filter(|row| row.verifies_until != Some(RETIRED));
        for row in changed {
            storage.token_keys.put(tx, &storage.mirror, row)?;
        }
        Ok(((), true))
    });
    match written {
        Err(Error::ReadOnly { .. }) => Ok(()),
        other => other,
    }
}

/// Makes a key and publishes it at once. It signs after `publish` seconds; `None`: after the time of the settings. Earlier
/// keys of this instance verify until their tokens have expired. Errors: `ReadOnly`, `NotDurable`, `Overloaded`. Yields.
pub fn rotate(tx: &Tx, auth: &'static Auth, publish: Option<u64>) -> Result<Outcome, Error> {
    let publish = publish.unwrap_or(auth.config.live().key_publish.as_secs());
    replace(tx, auth, publish, None)
}

/// Ends all keys and all tokens, after a restore: makes a key that signs at once, and begins this generation. Errors and yields:
/// as [`rotate`].
pub fn restored(tx: &Tx, auth: &'static Auth, generation: u64) -> Result<(), Error> {
    let held = auth.keyring.held(tx);
    replace(tx, auth, 0, Some(generation))?;
    for kid in held {
        auth.keyring.release(tx, &kid);
        remove(tx, auth, &kid);
    }
    Ok(())
}

/// Makes a key that signs after `publish` seconds. With a generation, it begins, and all other keys are retired.
fn replace(
    tx: &Tx,
    auth: &'static Auth,
    publish: u64,
    generation: Option<u64>,
) -> Result<Outcome, Error> {
    let (storage, keyring) = (&auth.storage, &auth.keyring);
    // Checked first, because an RSA key takes seconds to make.
    if is_read_only(tx) {
        return Err(Error::ReadOnly { leader: None });
    }
    let made = auth.key_maker.run(tx, || {
        let made = PrivateKey::make(auth.config.live().token_algorithm);
        Ok(made.map(|key| (files::store(keyring.directory(), &key), key)))
    })?;
    let (stored, key) = logged(made)?;
    logged(stored).map_err(|_| Error::NotDurable)?;
    let (kid, signs_from) = (key.public().id().to_owned(), now() + publish);
    let before = keyring.held(tx);
    // Before the commit, because another fiber may reload the ring during it.
    keyring.hold(tx, &key);
    let written = storage.reserve.transaction(tx, Depth::Last, || {
        let until = verifies_until(tx, auth, signs_from)?;
        if let Some(generation) = generation {
            storage.generation.begin(tx, generation)?;
            // A thief may have the back-up.
            if let Some(secret) = &storage.secret {
                secret.draw(tx)?;
            }
            // Tokens of other issuers know no generation.
            storage.subjects.end_everybody(tx, &storage.mirror)?;
        }
        for mut row in storage.token_keys.all(tx)? {
            let is_replaced = row.verifies_until.is_none() && before.contains(&row.kid);
            if generation.is_some() || is_replaced {
                row.verifies_until = Some(generation.map_or(until, |_| RETIRED));
                storage.token_keys.put(tx, &storage.mirror, &row)?;
            }
        }
        let row = row(key.public(), signs_from);
        storage.token_keys.put(tx, &storage.mirror, &row)
    });
    if let Err(error) = written {
        // It may have been read inside the transaction.
        storage.generation.read(tx)?;
        keyring.release(tx, &kid);
        remove(tx, auth, &kid);
        return Err(error);
    }
    refresh(tx, auth)?;
    auth.keyring.outdate_file(tx);
    write_public(tx, auth);
    Ok(Outcome::Rotated(NewSigningKey {
        kid,
        alg: key.public().algorithm(),
        signs_from,
    }))
}

/// Publishes the key of another instance of the replica set: see [`publish_of_other`]. Its tokens hold here from now on. Errors:
/// those, and as [`refresh`]. Yields.
pub fn publish(tx: &Tx, auth: &'static Auth, pem: &[u8]) -> Result<(), Error> {
    publish_of_other(tx, auth, pem)?;
    refresh(tx, auth)?;
    auth.keyring.outdate_file(tx);
    write_public(tx, auth);
    Ok(())
}

/// Ends a key and all its tokens. Errors: `NoSuchSigningKey`; `KeySigns` for a key that signs here, or will. Yields.
pub fn retire(tx: &Tx, auth: &'static Auth, kid: &str) -> Result<Outcome, Error> {
    let storage = &auth.storage;
    let signing = auth.tokens.signing_key();
    let until = storage.reserve.transaction(tx, Depth::Last, || {
        let row = storage.token_keys.get(tx, kid)?;
        let mut row = row.ok_or(Error::NoSuchSigningKey)?;
        let signs = signing.as_deref() == Some(kid);
        let will_sign = row.verifies_until.is_none() && auth.keyring.held(tx).contains(&row.kid);
        if signs || will_sign {
            return Err(Error::KeySigns);
        }
        let until = match row.verifies_until {
            None | Some(RETIRED) => now(),
            Some(until) => until.min(now()),
        };
        row.verifies_until = Some(RETIRED);
        storage.token_keys.put(tx, &storage.mirror, &row)?;
        Ok(until)
    })?;
    auth.keyring.release(tx, kid);
    refresh(tx, auth)?;
    remove(tx, auth, kid);
    auth.keyring.outdate_file(tx);
    write_public(tx, auth);
    Ok(Outcome::Retired(RetiredSigningKey {
        kid: kid.to_owned(),
        verifies_until: until,
    }))
}

/// Removes the file of a private key. Yields.
fn remove(tx: &Tx, auth: &'static Auth, kid: &str) {
    let kid = kid.to_owned();
    let remove = move || Ok(files::remove(auth.keyring.directory(), &kid));
    let removed = auth.hashes.run(tx, remove).and_then(logged);
    warn("the file of a private key was not removed", removed);
}

/// Updates the file of public keys, for instances that have only this file, if it is outdated. A failure is logged only,
/// because the change of keys is done: upkeep tries again. Yields.
pub fn write_public(tx: &Tx, auth: &'static Auth) {
    auth.keyring.update_file(tx, || {
        let file = &auth.config.public_key_file;
        let write = || Ok(files::write_public(file, &published(auth)));
        let written = auth.hashes.run(tx, write);
        written.unwrap_or_else(|error| Err(error.to_string()))
    });
}

fn warn(what: &str, result: Result<(), Error>) {
    if let Err(error) = result {
        log::warn(&format!("{what}: {}", error.row().name));
    }
}

/// Logs what is wrong with a file or a key: that is for the operator, not for the client.
fn logged<T>(result: Result<T, String>) -> Result<T, Error> {
    result.map_err(|what| {
        log::warn(&what);
        Error::Internal
    })
}
