//! Keys that are made and that are ended while an instance runs. Runs on the tx thread; keys are made on a thread of their own,
//! files of keys are written on the crypto pool.

use super::key_files as files;
use super::keyring::{published, refresh, row};
use crate::bridge::crypto::run;
use crate::instance::Instance;
use crate::storage::Depth;
use crate::tx::{is_read_only, log, Tx};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_command::Outcome;
use authkv_token::key::PrivateKey;

/// Until when a key verifies that was retired: never, even if the clock is set back.
const RETIRED: u64 = 0;

/// Makes a key, publishes it at once, and has it sign after some seconds: those of the settings where none are given.
/// The keys that this instance has signed with verify until their tokens have expired. Errors: `ReadOnly`, `Overloaded`.
/// Yields.
pub fn rotate(
    tx: &Tx,
    instance: &'static Instance,
    publish: Option<u64>,
) -> Result<Outcome, Error> {
    let (storage, keyring) = (&instance.storage, &instance.keyring);
    // A key of RSA takes seconds to make.
    if is_read_only(tx) {
        return Err(Error::ReadOnly);
    }
    let key = run(tx, instance, &instance.key_maker, || {
        let key = told(instance, PrivateKey::make(instance.config.token_algorithm))?;
        told(instance, files::store(keyring.directory(), &key))?;
        Ok(key)
    })?;
    let publish = publish.unwrap_or(instance.config.key_publish.as_secs());
    let (kid, signs_from) = (key.public().id().to_owned(), now() + publish);
    let before = keyring.held(tx);
    // First, because others may read the space while this is committed.
    keyring.hold(tx, &key);
    let last = signs_from + instance.tokens.ttl().as_secs();
    let written = storage.reserve.transaction(tx, Depth::Last, || {
        // Tokens of an earlier start may live longer.
        let last = last.max(storage.issued.until(tx)?);
        let until = instance.tokens.holds_until(last);
        for mut row in storage.token_keys.all(tx)? {
            if row.verifies_until.is_none() && before.contains(&row.kid) {
                row.verifies_until = Some(until);
                storage.token_keys.put(tx, &storage.mirror, &row)?;
            }
        }
        let row = row(key.public(), signs_from);
        storage.token_keys.put(tx, &storage.mirror, &row)
    });
    if let Err(error) = written {
        keyring.release(tx, &kid);
        remove(tx, instance, &kid);
        return Err(error);
    }
    refresh(tx, instance)?;
    instance.keyring.outdate_file(tx);
    write_public(tx, instance);
    Ok(Outcome::Rotated {
        kid,
        alg: key.public().algorithm().name(),
        signs_from,
    })
}

/// Ends a key and all its tokens. Errors: `NoSuchSigningKey`; `KeySigns` for the one that signs here, or will. Yields.
pub fn retire(tx: &Tx, instance: &'static Instance, kid: &str) -> Result<Outcome, Error> {
    let storage = &instance.storage;
    let ring = instance.tokens.ring();
    let until = storage.reserve.transaction(tx, Depth::Last, || {
        let row = storage.token_keys.get(tx, kid)?;
        let mut row = row.ok_or(Error::NoSuchSigningKey)?;
        let signs = ring.signer(now()).is_some_and(|(key, _)| key.id() == kid);
        let will_sign =
            row.verifies_until.is_none() && instance.keyring.held(tx).contains(&row.kid);
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
    instance.keyring.release(tx, kid);
    refresh(tx, instance)?;
    remove(tx, instance, kid);
    instance.keyring.outdate_file(tx);
    write_public(tx, instance);
    Ok(Outcome::Retired {
        kid: kid.to_owned(),
        verifies_until: until,
    })
}

/// Removes the file of a private key that counts no more. Yields.
fn remove(tx: &Tx, instance: &'static Instance, kid: &str) {
    let kid = kid.to_owned();
    let removed = run(tx, instance, &instance.crypto, move || {
        told(instance, files::remove(instance.keyring.directory(), &kid))
    });
    warn("the file of a private key was not removed", removed);
}

/// Leaves the public keys for instances that only have the file, where it is outdated. What is done already does not
/// fail because it cannot be written: upkeep tries again. Yields.
pub fn write_public(tx: &Tx, instance: &'static Instance) {
    instance.keyring.update_file(tx, || {
        run(tx, instance, &instance.crypto, || {
            let file = &instance.config.public_key_file;
            told(instance, files::write_public(file, &published(instance)))
        })
    });
}

fn warn(what: &str, result: Result<(), Error>) {
    if let Err(error) = result {
        log::warn(&format!("{what}: {}", error.row().name));
    }
}

/// What a file or a key has against it is for the operator, not for the client.
fn told<T>(instance: &Instance, result: Result<T, String>) -> Result<T, Error> {
    result.map_err(|what| {
        // This is not the tx thread.
        instance.bridge.log(what);
        Error::Internal
    })
}
