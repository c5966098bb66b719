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
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_base::steady::now;
use authkv_command::{
    ApiKeyInput, ApiKeyList, Done, ListedApiKey, NewApiKey as Made, Outcome, UserApiKey,
    UserApiKeyInput,
};
use authkv_domain::RoleName;
use authkv_token::NewApiKey;
use secrecy::ExposeSecret;

/// The most keys of a user.
const KEYS_MAX: usize = 100;
/// The most characters in the name of a key.
const NAME_MAX: usize = 64;
/// Seconds that a key lives if nothing else is asked for, and the most.
const TTL: u64 = 365 * 86_400;
const TTL_MAX: u64 = 10 * TTL;

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
        login: login.into(),
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
        let row = row.filter(|row| &*row.login == login && row.expires_at > now());
        let row = row.ok_or(Error::NoSuchApiKey)?;
        storage.api_keys.revoke(tx, &storage.mirror, &row)
    })?;
    auth.uses.forget(tx, id);
    Ok(Outcome::Done(Done::Revoked))
}
