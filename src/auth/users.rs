//! Users: registered, read, changed and deleted. Runs on the tx thread. Hashes are made on the crypto pool.

use super::login::{prove, users};
use super::principal::Principal;
use super::subject::{active, end_all};
use super::Auth;
use super::{access, arrival, outside};
use crate::storage::{Depth, NewUser, UserRow};
use crate::tx::{await_durability, transaction, Tx};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_command::{
    Credentials, Done, Names, Outcome, Page, PasswordChange, Registered, Registration, UserPage,
};
use authkv_domain::{LoginForm, NameForm, Password, PasswordRules, User};
use authkv_token::NewApiKey;
use secrecy::SecretString;

/// The rules for the data of a new user.
pub struct Rules {
    login: LoginForm,
    name: NameForm,
    password: fn(SecretString, &PasswordRules) -> Result<Password, Error>,
}

impl Rules {
    /// Those of the contract.
    pub const CONTRACT: Self = Self {
        login: LoginForm::Contract,
        name: NameForm::Contract,
        password: Password::new,
    };

    /// Those of service users, who are no people.
    const SERVICE: Self = Self {
        password: |password, _| Ok(Password::unknown(password)),
        ..Self::CONTRACT
    };

    /// Those that the settings choose.
    fn chosen(auth: &Auth) -> Self {
        Self {
            login: auth.config.login_form,
            name: auth.config.name_form,
            password: Password::uncommon,
        }
    }
}

/// Adds a user. Errors: `LoginTaken` before `BadLogin`, `BadPassword`, `BadPersonName`; `Overloaded`. Yields.
pub fn register(tx: &Tx, auth: &'static Auth, input: Registration) -> Result<Outcome, Error> {
    let login = add(tx, auth, input, Rules::CONTRACT, None)?;
    Ok(Outcome::Registered(Registered { login }))
}

/// Like [`register`], but with the forms of the settings, refuses the most common passwords, and describes failures in plain
/// words.
pub fn register_uncommon(
    tx: &Tx,
    auth: &'static Auth,
    input: Registration,
) -> Result<Outcome, Error> {
    let added = add(tx, auth, input, Rules::chosen(auth), None);
    let login = added.map_err(Error::in_plain_words)?;
    Ok(Outcome::Registered(Registered { login }))
}

/// Like [`register_uncommon`], by an administrator, with roles. Errors: also `NoSuchRole`.
pub fn create(
    tx: &Tx,
    auth: &'static Auth,
    input: Registration,
    roles: Vec<String>,
) -> Result<Outcome, Error> {
    let added = add(tx, auth, input, Rules::chosen(auth), Some(&roles));
    let login = added.map_err(Error::in_plain_words)?;
    get(tx, auth, &login)
}

/// Adds a service user, by an administrator: nobody knows the password, so that only API keys act as this user. Errors: also
/// `NoSuchRole`.
pub fn create_service(
    tx: &Tx,
    auth: &'static Auth,
    login: String,
    roles: Vec<String>,
) -> Result<Outcome, Error> {
    let input = Registration {
        login,
        password: NewApiKey::draw()?.text,
        name: "Service".to_owned(),
        surname: "Service".to_owned(),
    };
    let added = add(tx, auth, input, Rules::SERVICE, Some(&roles));
    let login = added.map_err(Error::in_plain_words)?;
    get(tx, auth, &login)
}

/// Adds a user with these roles and returns the login. Tokens and roles of an earlier user with this login do not count.
/// Without `roles` it is a registration, which is refused once memory runs short, or there are as many users as may register.
/// Errors: also `TooManyUsers`. Yields.
pub fn add(
    tx: &Tx,
    auth: &'static Auth,
    input: Registration,
    rules: Rules,
    roles: Option<&[String]>,
) -> Result<String, Error> {
    let reserve = &auth.storage.reserve;
    let is_ours = roles.is_some() || !auth.config.live().registration_open;
    if !is_ours {
        reserve.admit(tx)?;
    }
    let users = users(auth)?;
    if !is_ours {
        users.check_room(tx, auth.config.live().users_max)?;
    }
    if users.contains(tx, &input.login)? {
        return Err(Error::LoginTaken);
    }
    let login = rules.login.read(input.login)?;
    let password = (rules.password)(input.password, &auth.config.live().password_rules)?;
    let name = rules.name.read(input.name)?;
    let surname = rules.name.read(input.surname)?;
    let granted = |role: &String| access::granted(tx, auth, role);
    let mut roles = roles
        .unwrap_or_default()
        .iter()
        .map(granted)
        .collect::<Result<Vec<_>, _>>()?;
    roles.sort();
    roles.dedup();
    let hash = auth.hashes.run(tx, move || auth.hash_new(&password))?;
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
        let storage = &auth.storage;
        // If there was one before, its tokens of other issuers ended when it was deleted.
        let ended_at = storage.subjects.get(tx, login)?.ended_at;
        // An earlier user of this login may have left tokens, keys, sessions and roles: they end.
        storage.api_keys.revoke_all(tx, &storage.mirror, login)?;
        end_all(tx, auth, login, |subject| {
            subject.ended_at = ended_at;
            subject.disabled = false;
            subject.roles.clone_from(&roles);
        })
    };
    match is_ours {
        true => reserve.transaction(tx, Depth::Last, body)?,
        false => {
            // Other fibers ran while the password was hashed.
            reserve.admit(tx)?;
            users.check_room(tx, auth.config.live().users_max)?;
            let _registering = users.begin_registration(tx);
            transaction(tx, body)?
        }
    };
    Ok(login.as_str().to_owned())
}

/// The caller, and what the caller may do. Errors: `Unauthenticated` for a caller without a token. Does not yield.
pub fn me(tx: &Tx, auth: &Auth, who: &Principal) -> Result<Outcome, Error> {
    let user = arrival::me(tx, auth, who, user(tx, auth, who.login()?))?;
    let permissions = who.access(tx, auth)?.into_permissions();
    Ok(Outcome::Me { user, permissions })
}

/// Changes a password, given the old one, and ends all tokens and sessions. Errors: `BadPassword`; `InvalidCredentials` and
/// `TooManyAttempts` for the old one; `Overloaded`. Yields.
pub fn change_password(
    tx: &Tx,
    auth: &'static Auth,
    who: &Principal,
    origin: &Origin,
    change: PasswordChange,
) -> Result<Outcome, Error> {
    let input = Credentials {
        login: who.claims()?.sub.clone(),
        password: change.old,
    };
    let new = Password::uncommon(change.new, &auth.config.live().password_rules)?;
    let (hash, epoch) = prove(tx, auth, origin, &input, move |subject| {
        Ok((auth.hash_new(&new)?, subject.epoch))
    })?;
    let users = users(auth)?;
    let gone = auth.storage.reserve.transaction(tx, Depth::Last, || {
        // The password may have changed since the old one was checked.
        active(tx, auth, &input.login, epoch)?.ok_or(Error::InvalidCredentials)?;
        let old = users.set_hash(tx, &input.login, &hash)?;
        end_all(tx, auth, &input.login, |_| ()).map(|_| old)
    })?;
    users.count_gone(tx, &gone);
    Ok(Outcome::Done(Done::Changed))
}

/// Sets the password of a user, and ends all tokens and sessions. Errors: `NoSuchUser`, `BadPassword`, `Overloaded`. Yields.
pub fn set_password(tx: &Tx, auth: &'static Auth, input: Credentials) -> Result<Outcome, Error> {
    check_is_there(tx, auth, &input.login)?;
    let password = Password::uncommon(input.password, &auth.config.live().password_rules)?;
    let hash = auth.hashes.run(tx, move || auth.hash_new(&password))?;
    let users = users(auth)?;
    let gone = auth.storage.reserve.transaction(tx, Depth::Last, || {
        let old = users.set_hash(tx, &input.login, &hash)?;
        end_all(tx, auth, &input.login, |_| ()).map(|_| old)
    })?;
    users.count_gone(tx, &gone);
    Ok(Outcome::Done(Done::Changed))
}

/// A page of users in order of login. Does not yield.
pub fn list(tx: &Tx, auth: &Auth, page: Page) -> Result<Outcome, Error> {
    // One row more than asked for, to see whether there are more.
    let mut rows = users(auth)?.list(tx, page.after.as_deref(), page.limit + 1)?;
    let more = rows.len() > page.limit;
    rows.truncate(page.limit);
    let next = rows.last().filter(|_| more).map(|row| row.login.clone());
    let users = rows.into_iter().map(|row| whole(tx, auth, row));
    let users = users.collect::<Result<Vec<_>, _>>()?;
    Ok(Outcome::Users(UserPage { users, next }))
}

/// A user. Errors: `NoSuchUser`. Does not yield.
pub fn get(tx: &Tx, auth: &Auth, login: &str) -> Result<Outcome, Error> {
    user(tx, auth, login).map(Outcome::User)
}

fn user(tx: &Tx, auth: &Auth, login: &str) -> Result<User, Error> {
    let row = users(auth)?.get(tx, login)?;
    whole(tx, auth, row.ok_or(Error::NoSuchUser)?)
}

fn whole(tx: &Tx, auth: &Auth, row: UserRow) -> Result<User, Error> {
    let subject = auth.storage.subjects.get(tx, &row.login)?;
    Ok(User {
        login: row.login,
        name: row.name,
        surname: row.surname,
        created_at: row.created_at,
        disabled: subject.disabled,
        roles: access::names(tx, auth, subject)?,
        email_verified: row.email_verified,
    })
}

/// Errors: `NoSuchUser`.
pub fn check_is_there(tx: &Tx, auth: &Auth, login: &str) -> Result<(), Error> {
    match users(auth)?.contains(tx, login)? {
        true => Ok(()),
        false => Err(Error::NoSuchUser),
    }
}

/// Deletes a user, and ends all tokens, keys and sessions. A later user with this login is another user. Errors: `NoSuchUser`.
/// Yields.
pub fn delete(tx: &Tx, auth: &Auth, login: &str) -> Result<Outcome, Error> {
    delete_if(tx, auth, login, || Ok(()))
}

/// Deletes the caller, given the password. Errors: `InvalidCredentials` and `TooManyAttempts` for the password; `Overloaded`. Yields.
pub fn delete_own(
    tx: &Tx,
    auth: &'static Auth,
    who: &Principal,
    origin: &Origin,
    password: SecretString,
) -> Result<Outcome, Error> {
    let input = Credentials {
        login: who.login()?.to_owned(),
        password,
    };
    let epoch = prove(tx, auth, origin, &input, |subject| Ok(subject.epoch))?;
    delete_if(tx, auth, &input.login, || {
        // The user may have changed since the password was checked.
        let is_same = active(tx, auth, &input.login, epoch)?;
        is_same.map(|_| ()).ok_or(Error::InvalidCredentials)
    })
}

fn delete_if(
    tx: &Tx,
    auth: &Auth,
    login: &str,
    check: impl Fn() -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let users = users(auth)?;
    let storage = &auth.storage;
    let gone = storage.reserve.transaction(tx, Depth::Last, || {
        check()?;
        let hash = users.delete(tx, login)?;
        storage.sessions.prune(tx, login, 0)?;
        storage.api_keys.revoke_all(tx, &storage.mirror, login)?;
        // At least now, even if no token was ever issued.
        let until = storage.issued.until(tx)?.max(outside::until(auth, now()));
        storage
            .subjects
            .put_tombstone(tx, &storage.mirror, login, until)?;
        Ok(hash)
    })?;
    users.count_gone(tx, &gone);
    Ok(Outcome::Done(Done::Deleted))
}

/// Changes the name and the surname of the caller. Errors: `BadPersonName`. Yields.
pub fn rename(tx: &Tx, auth: &Auth, who: &Principal, input: Names) -> Result<Outcome, Error> {
    let login = who.login()?;
    let read = |text| {
        auth.config
            .name_form
            .read(text)
            .map_err(Error::in_plain_words)
    };
    let (name, surname) = (read(input.name)?, read(input.surname)?);
    let users = users(auth)?;
    let reserve = &auth.storage.reserve;
    reserve.transaction(tx, Depth::Last, || users.rename(tx, login, &name, &surname))?;
    get(tx, auth, login)
}

/// Enables or disables a user. Disabling ends all tokens and sessions. Errors: `NoSuchUser`. Yields.
pub fn set_disabled(tx: &Tx, auth: &Auth, login: &str, disabled: bool) -> Result<Outcome, Error> {
    let reserve = &auth.storage.reserve;
    let is_so = reserve.transaction(tx, Depth::Last, || {
        check_is_there(tx, auth, login)?;
        let is_so = auth.storage.subjects.get(tx, login)?.disabled == disabled;
        if !is_so {
            end_all(tx, auth, login, |subject| subject.disabled = disabled)?;
        }
        Ok(is_so)
    })?;
    if is_so {
        await_durability(tx)?;
    }
    get(tx, auth, login)
}

/// Ends all tokens and sessions of a user. Errors: `NoSuchUser`. Yields.
pub fn logout(tx: &Tx, auth: &Auth, login: &str) -> Result<Outcome, Error> {
    auth.storage.reserve.transaction(tx, Depth::Last, || {
        check_is_there(tx, auth, login)?;
        end_all(tx, auth, login, |_| ())
    })?;
    Ok(Outcome::Done(Done::Revoked))
}
