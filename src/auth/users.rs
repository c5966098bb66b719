//! Users: registered, looked at, changed and deleted. Runs on the tx thread; hashes are the crypto pool's work.

use super::login::{prove, users};
use super::principal::Principal;
use super::roles;
use super::session::{active, end_all};
use crate::bridge::crypto::run;
use crate::instance::Instance;
use crate::storage::{Depth, NewUser, UserRow};
use crate::tx::{settle, transaction, Tx};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_command::{Credentials, Done, Outcome, Page, Registration};
use authkv_domain::{Initial, Login, Password, PasswordRules, User};
use secrecy::SecretString;

/// Adds a user. Errors: `LoginTaken` before `BadLogin`, `BadPassword`, `BadInitial`; `Overloaded`. Yields.
pub fn register(
    tx: &Tx,
    instance: &'static Instance,
    input: Registration,
) -> Result<Outcome, Error> {
    let login = add(tx, instance, input, Password::new, None)?;
    Ok(Outcome::Registered { login })
}

/// The same, with a password that is not among the most common ones, and failures in plain words.
pub fn register_uncommon(
    tx: &Tx,
    instance: &'static Instance,
    input: Registration,
) -> Result<Outcome, Error> {
    let added = add(tx, instance, input, Password::uncommon, None);
    let login = added.map_err(Error::in_plain_words)?;
    Ok(Outcome::Registered { login })
}

/// The same by an administrator, with roles. Errors: also `NoSuchRole`.
pub fn create(
    tx: &Tx,
    instance: &'static Instance,
    input: Registration,
    roles: Vec<String>,
) -> Result<Outcome, Error> {
    let added = add(tx, instance, input, Password::uncommon, Some(&roles));
    let login = added.map_err(Error::in_plain_words)?;
    get(tx, instance, &login)
}

/// Adds a user with these roles, which are new to the login whatever it was before. Returns the login. Without roles it
/// is whoever comes that registers, which ends before memory does.
pub fn add(
    tx: &Tx,
    instance: &'static Instance,
    input: Registration,
    rules: impl Fn(SecretString, &PasswordRules) -> Result<Password, Error>,
    roles: Option<&[String]>,
) -> Result<String, Error> {
    let reserve = &instance.storage.reserve;
    let is_ours = roles.is_some() || !instance.config.registration_open;
    if !is_ours {
        reserve.admit(tx)?;
    }
    let users = users(instance)?;
    if users.contains(tx, &input.login)? {
        return Err(Error::LoginTaken);
    }
    let login = Login::new(input.login)?;
    let password = rules(input.password, &instance.config.password_rules)?;
    let name = Initial::new(input.name)?;
    let surname = Initial::new(input.surname)?;
    let granted = |role: &String| roles::granted(tx, instance, role);
    let mut roles = roles
        .unwrap_or_default()
        .iter()
        .map(granted)
        .collect::<Result<Vec<_>, _>>()?;
    roles.sort();
    roles.dedup();
    let hash = run(tx, instance, &instance.crypto, move || {
        instance.hasher.hash(password.secret())
    })?;
    let body = || {
        users.insert(
            tx,
            &NewUser {
                login: &login,
                hash: &hash,
                name: &name,
                surname: &surname,
            },
        )?;
        let login = login.as_str();
        // Tokens, sessions and roles of a user that had this login are not those of this one.
        end_all(tx, instance, login, |subject| {
            subject.disabled = false;
            subject.roles.clone_from(&roles);
        })
    };
    match is_ours {
        true => reserve.transaction(tx, Depth::Last, body)?,
        false => {
            // Others have had their turn while the password was hashed.
            reserve.admit(tx)?;
            transaction(tx, body)?
        }
    };
    Ok(login.as_str().to_owned())
}

/// The caller, and what it may do. Errors: `Unauthenticated` for a caller without a token. Does not yield.
pub fn me(tx: &Tx, instance: &Instance, who: &Principal) -> Result<Outcome, Error> {
    let user = user(tx, instance, &who.claims()?.sub)?;
    let permissions = who.access(tx, instance)?.into_permissions();
    Ok(Outcome::Me { user, permissions })
}

/// Sets another password, for whoever has the old one, and ends all tokens and sessions. Errors: `BadPassword`;
/// `InvalidCredentials` and `TooManyAttempts` for the old one, `Overloaded`. Yields.
pub fn change_password(
    tx: &Tx,
    instance: &'static Instance,
    who: &Principal,
    origin: &Origin,
    old: SecretString,
    new: SecretString,
) -> Result<Outcome, Error> {
    let input = Credentials {
        login: who.claims()?.sub.clone(),
        password: old,
    };
    let new = Password::uncommon(new, &instance.config.password_rules)?;
    let (hash, epoch) = prove(tx, instance, origin, &input, move |subject| {
        Ok((instance.hasher.hash(new.secret())?, subject.epoch))
    })?;
    let users = users(instance)?;
    let gone = instance.storage.reserve.transaction(tx, Depth::Last, || {
        // Somebody else may have set another since the old one was proved.
        active(tx, instance, &input.login, epoch)?.ok_or(Error::InvalidCredentials)?;
        let old = users.set_hash(tx, &input.login, &hash)?;
        end_all(tx, instance, &input.login, |_| ()).map(|_| old)
    })?;
    users.count_gone(tx, &gone);
    Ok(Outcome::Done(Done::Changed))
}

/// Sets the password of a user, and ends all tokens and sessions. Errors: `NoSuchUser`, `BadPassword`, `Overloaded`. Yields.
pub fn set_password(
    tx: &Tx,
    instance: &'static Instance,
    input: Credentials,
) -> Result<Outcome, Error> {
    check_is_there(tx, instance, &input.login)?;
    let password = Password::uncommon(input.password, &instance.config.password_rules)?;
    let hash = run(tx, instance, &instance.crypto, move || {
        instance.hasher.hash(password.secret())
    })?;
    let users = users(instance)?;
    let gone = instance.storage.reserve.transaction(tx, Depth::Last, || {
        let old = users.set_hash(tx, &input.login, &hash)?;
        end_all(tx, instance, &input.login, |_| ()).map(|_| old)
    })?;
    users.count_gone(tx, &gone);
    Ok(Outcome::Done(Done::Changed))
}

/// A page of users in order of login. Does not yield.
pub fn list(tx: &Tx, instance: &Instance, page: Page) -> Result<Outcome, Error> {
    // One more, to see whether there are more.
    let mut rows = users(instance)?.list(tx, page.after.as_deref(), page.limit + 1)?;
    let more = rows.len() > page.limit;
    rows.truncate(page.limit);
    let next = rows.last().filter(|_| more).map(|row| row.login.clone());
    let users = rows.into_iter().map(|row| whole(tx, instance, row));
    let users = users.collect::<Result<Vec<_>, _>>()?;
    Ok(Outcome::Users { users, next })
}

/// A user. Errors: `NoSuchUser`. Does not yield.
pub fn get(tx: &Tx, instance: &Instance, login: &str) -> Result<Outcome, Error> {
    user(tx, instance, login).map(Outcome::User)
}

fn user(tx: &Tx, instance: &Instance, login: &str) -> Result<User, Error> {
    let row = users(instance)?.get(tx, login)?;
    whole(tx, instance, row.ok_or(Error::NoSuchUser)?)
}

fn whole(tx: &Tx, instance: &Instance, row: UserRow) -> Result<User, Error> {
    let subject = instance.storage.subjects.get(tx, &row.login)?;
    Ok(User {
        login: row.login,
        name: row.name,
        surname: row.surname,
        created_at: row.created_at,
        disabled: subject.disabled,
        roles: roles::names(tx, instance, subject)?,
    })
}

/// Errors: `NoSuchUser`.
pub fn check_is_there(tx: &Tx, instance: &Instance, login: &str) -> Result<(), Error> {
    match users(instance)?.contains(tx, login)? {
        true => Ok(()),
        false => Err(Error::NoSuchUser),
    }
}

/// Deletes a user, and ends all tokens and sessions: those of a user that registers under the same login are others.
/// Errors: `NoSuchUser`. Yields.
pub fn delete(tx: &Tx, instance: &Instance, login: &str) -> Result<Outcome, Error> {
    let users = users(instance)?;
    let storage = &instance.storage;
    let gone = storage.reserve.transaction(tx, Depth::Last, || {
        let hash = users.delete(tx, login)?;
        storage.sessions.prune(tx, login, 0)?;
        // Not before now, where no token was issued at all.
        let until = storage.issued.until(tx)?.max(now());
        storage.subjects.bury(tx, &storage.mirror, login, until)?;
        Ok(hash)
    })?;
    users.count_gone(tx, &gone);
    Ok(Outcome::Done(Done::Deleted))
}

/// Lets a user log in or not. To disable one ends all tokens and sessions. Errors: `NoSuchUser`. Yields.
pub fn set_disabled(
    tx: &Tx,
    instance: &Instance,
    login: &str,
    disabled: bool,
) -> Result<Outcome, Error> {
    let reserve = &instance.storage.reserve;
    let is_so = reserve.transaction(tx, Depth::Last, || {
        check_is_there(tx, instance, login)?;
        let is_so = instance.storage.subjects.get(tx, login)?.disabled == disabled;
        if !is_so {
            end_all(tx, instance, login, |subject| subject.disabled = disabled)?;
        }
        Ok(is_so)
    })?;
    if is_so {
        settle(tx)?;
    }
    get(tx, instance, login)
}

/// Ends all tokens and sessions of a user. Errors: `NoSuchUser`. Yields.
pub fn logout(tx: &Tx, instance: &Instance, login: &str) -> Result<Outcome, Error> {
    instance.storage.reserve.transaction(tx, Depth::Last, || {
        check_is_there(tx, instance, login)?;
        end_all(tx, instance, login, |_| ())
    })?;
    Ok(Outcome::Done(Done::Revoked))
}
