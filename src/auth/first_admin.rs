//! The user `admin` of a new installation. Runs on the tx thread.

use super::users::{self, Rules};
use super::Auth;
use crate::tx::{is_read_only, log, Tx};
use authkv_base::error::Error;
use authkv_command::Registration;
use authkv_domain::{RoleName, Subject};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;

const ADMIN: &str = "admin";

/// The user `admin` of a start.
pub enum Made {
    /// There was nothing to make, or the settings gave the password.
    Silently,
    /// Its generated password.
    Password(String),
    /// The disk cannot be written.
    NotYet,
}

/// Whether there is neither the user `admin` nor another administrator, and this instance may write. Reads all users. The
/// error says what is wrong. Does not yield.
fn is_missing(tx: &Tx, auth: &'static Auth) -> Result<bool, String> {
    let text = |e: Error| e.to_string();
    let Some(users) = &auth.storage.users else {
        return Ok(false);
    };
    // The leader makes it, also an instance that begins to lead later.
    if is_read_only(tx) || users.contains(tx, ADMIN).map_err(text)? {
        return Ok(false);
    }
    let has_admin = |subject: &Subject| subject.is_active() && subject.has(RoleName::ADMIN);
    Ok(!auth.storage.subjects.any(tx, has_admin).map_err(text)?)
}

/// Makes the user `admin` with the role `admin`, if there is no such user, no other administrator, and this instance may
/// write. Reads all users. An existing `admin` is left alone: in an old installation anyone may have registered it. The
/// error says what is wrong. Yields.
pub fn make(tx: &Tx, auth: &'static Auth) -> Result<Made, String> {
    if !is_missing(tx, auth)? {
        return Ok(Made::Silently);
    }
    let (password, made_up) = match &auth.config.admin_password {
        Some(given) => (given.secret().clone(), None),
        None => {
            let made_up = random_password()?;
            (SecretString::from(made_up.as_str()), Some(made_up))
        }
    };
    let registration = Registration {
        login: ADMIN.to_owned(),
        password,
        name: "Admin".to_owned(),
        surname: "Admin".to_owned(),
    };
    let roles = [RoleName::ADMIN.to_owned()];
    match users::add(tx, auth, registration, Rules::CONTRACT, Some(&roles)) {
        Ok(_) => {
            log::info("the user admin was made");
            Ok(made_up.map_or(Made::Silently, Made::Password))
        }
        // Another instance has begun to lead, and may have made it.
        Err(Error::ReadOnly { .. } | Error::LoginTaken) => Ok(Made::Silently),
        Err(Error::NotDurable) => Ok(Made::NotYet),
        Err(e) => Err(format!("cannot make the user admin: {e}")),
    }
}

/// How a start tells the generated password.
pub fn shown(password: &str) -> String {
    format!("The user admin was made. Its password, shown only this once: {password}")
}

/// Makes the user later, after [`Made::NotYet`] or when this instance begins to lead. Returns whether this is done. A generated
/// password could not be shown any more, so without one in the settings this is left to a restart, and the log says so. Yields.
pub fn make_late(tx: &Tx, auth: &'static Auth) -> bool {
    if auth.config.admin_password.is_none() {
        if is_missing(tx, auth).unwrap_or(false) {
            log::warn(
                "there is no administrator: the instance that was to make the user admin could not, or was lost before. \
                 authkv.restart() in the console of this instance makes it and returns its password; or set \
                 AUTHKV_ADMIN_PASSWORD on all instances and restart this one",
            );
        }
        return true;
    }
    match make(tx, auth) {
        Ok(Made::NotYet) => false,
        Ok(_) => true,
        Err(what) => {
            log::error(&what);
            true
        }
    }
}

/// Twenty random letters and digits, and one character of each class that the password rules may require.
fn random_password() -> Result<String, String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = [0; 20];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| "there is no randomness")?;
    let text: String = random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 64)]))
        .collect();
    Ok(format!("{text}-aA1"))
}
