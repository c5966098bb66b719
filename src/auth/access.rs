//! What users may do, by their roles. Runs on the tx thread.

use super::Auth;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_domain::{Access, Granted, RoleName, Subject};

/// What the user with this login may do with keys. `has_default`: the role `default` counts, if users have it. Does not yield.
pub fn access(
    tx: &Tx,
    auth: &Auth,
    login: &str,
    subject: &Subject,
    has_default: bool,
) -> Result<Access, Error> {
    if subject.has(RoleName::ADMIN) {
        return Ok(Access::everything());
    }
    let mut access = Access::default();
    if has_default && auth.config.live().default_role {
        add_default(tx, auth, login, &mut access)?;
    }
    for granted in &subject.roles {
        if granted.name == RoleName::DEFAULT {
            add_default(tx, auth, login, &mut access)?;
            continue;
        }
        let role = auth.storage.roles.get(tx, &granted.name)?;
        if let Some(role) = role.filter(|role| role.since == granted.since) {
            access.add(role.rules, login);
        }
    }
    Ok(access)
}

/// The names of a user's roles, without roles that were deleted. Does not yield.
pub fn names(tx: &Tx, auth: &Auth, subject: Subject) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for granted in subject.roles {
        if since(tx, auth, &granted.name)? == Some(granted.since) {
            names.push(granted.name);
        }
    }
    Ok(names)
}

/// The number that identifies the present role of this name, or `None` if there is no such role. Does not yield.
fn since(tx: &Tx, auth: &Auth, name: &str) -> Result<Option<u64>, Error> {
    match name {
        // Built-in roles always exist and never change identity.
        RoleName::ADMIN | RoleName::INTROSPECT | RoleName::DEFAULT => Ok(Some(0)),
        // Older versions let make a role of this name, which then stays what it is.
        RoleName::RECOVERY => Ok(auth.storage.roles.since(tx, name)?.or(Some(0))),
        _ => auth.storage.roles.since(tx, name),
    }
}

/// Adds the permissions of the role that every user has. Does not yield.
fn add_default(tx: &Tx, auth: &Auth, login: &str, access: &mut Access) -> Result<(), Error> {
    match auth.storage.roles.get(tx, RoleName::DEFAULT)? {
        Some(role) => access.add(role.rules, login),
        None => access.add_everything(),
    }
    Ok(())
}

/// The role of this name, in the form in which users hold it. Errors: `NoSuchRole`, `BadRole`. Does not yield.
pub fn granted(tx: &Tx, auth: &Auth, name: &str) -> Result<Granted, Error> {
    RoleName::check(name)?;
    let since = since(tx, auth, name)?.ok_or(Error::NoSuchRole)?;
    let name = name.to_owned();
    Ok(Granted { name, since })
}
