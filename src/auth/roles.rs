//! Roles: made, changed, granted and revoked. Runs on the tx thread.

use super::access::granted;
use super::users;
use super::Auth;
use crate::storage::Depth;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_command::{Done, Grant, NewRole, Outcome, RoleList};
use authkv_domain::{Granted, Permission, Permissions, Role, RoleName};

/// How many roles a user may have.
const MAX: usize = 100;

/// Grants a role to a user, from the next request on. Errors: `NoSuchUser`, `NoSuchRole`, `BadRole`. Yields.
pub fn grant(tx: &Tx, auth: &Auth, grant: &Grant) -> Result<Outcome, Error> {
    change(tx, auth, grant, |roles| {
        let granted = granted(tx, auth, &grant.role)?;
        roles.retain(|one| one.name != granted.name);
        roles.push(granted);
        roles.sort();
        match roles.len() {
            0..=MAX => Ok(()),
            _ => Err(Error::BadRole("a user may have at most 100 roles")),
        }
    })
}

/// Revokes a role of a user, from the next request on. Errors: `NoSuchUser`. Yields.
pub fn revoke(tx: &Tx, auth: &Auth, grant: &Grant) -> Result<Outcome, Error> {
    change(tx, auth, grant, |roles| {
        roles.retain(|one| one.name != grant.role);
        Ok(())
    })
}

fn change(
    tx: &Tx,
    auth: &Auth,
    grant: &Grant,
    change: impl Fn(&mut Vec<Granted>) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let storage = &auth.storage;
    storage.reserve.transaction(tx, Depth::Last, || {
        users::check_is_there(tx, auth, &grant.login)?;
        let mut subject = storage.subjects.get(tx, &grant.login)?;
        change(&mut subject.roles)?;
        storage
            .subjects
            .put(tx, &storage.mirror, &grant.login, &subject)
    })?;
    users::get(tx, auth, &grant.login)
}

/// All roles in order of name, with the built-in ones. Does not yield.
pub fn list(tx: &Tx, auth: &Auth) -> Result<Outcome, Error> {
    let mut roles = auth.storage.roles.all(tx)?;
    let fixed = [
        (RoleName::ADMIN, vec![Permission::everything()]),
        (RoleName::INTROSPECT, vec![]),
        (RoleName::RECOVERY, vec![]),
        (RoleName::DEFAULT, vec![Permission::everything()]),
    ];
    for (name, permissions) in fixed {
        if roles.iter().all(|role| role.name != name) {
            let name = name.to_owned();
            roles.push(Role { name, permissions });
        }
    }
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Outcome::Roles(RoleList { roles }))
}

/// Makes a role, or replaces the permissions of one, from the next request on. Errors: `BadRole`. Yields.
pub fn set(tx: &Tx, auth: &Auth, role: NewRole) -> Result<Outcome, Error> {
    let name = RoleName::new(role.name)?;
    name.check_changeable()?;
    let permissions = Permissions::new(role.permissions?, &auth.config.live().limits)?.into_inner();
    let storage = &auth.storage;
    storage.reserve.transaction(tx, Depth::Last, || {
        let mirror = &storage.mirror;
        let is_recovery = name.as_str() == RoleName::RECOVERY;
        if is_recovery && storage.roles.since(tx, name.as_str())?.is_none() {
            return Err(Error::BadRole("recovery cannot be changed"));
        }
        storage
            .roles
            .put(tx, mirror, name.as_str(), Some(&permissions))
    })?;
    Ok(Outcome::Role(Role {
        name: name.as_str().to_owned(),
        permissions,
    }))
}

/// Deletes a role. Its users lose the permissions of it. Errors: `NoSuchRole`, `BadRole`. Yields.
pub fn delete(tx: &Tx, auth: &Auth, role: String) -> Result<Outcome, Error> {
    let name = RoleName::of_any_version(role)?;
    name.check_changeable()?;
    if name.as_str() == RoleName::DEFAULT {
        return Err(Error::BadRole("default cannot be deleted: set it"));
    }
    let storage = &auth.storage;
    storage.reserve.transaction(tx, Depth::Last, || {
        if storage.roles.get(tx, name.as_str())?.is_none() {
            return Err(Error::NoSuchRole);
        }
        storage.roles.put(tx, &storage.mirror, name.as_str(), None)
    })?;
    Ok(Outcome::Done(Done::Deleted))
}
