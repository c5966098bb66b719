//! Roles, and what those that have them may do. Runs on the tx thread.

use super::users;
use crate::instance::Instance;
use crate::storage::Depth;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_command::{Done, Grant, Outcome};
use authkv_domain::{Access, Granted, Permission, Permissions, Role, RoleName, Subject};

/// Roles that a user may have.
const MAX: usize = 100;

/// What a user may do with keys. Does not yield.
pub fn access(tx: &Tx, instance: &Instance, subject: &Subject) -> Result<Access, Error> {
    if subject.has(RoleName::ADMIN) {
        return Ok(Access::everything());
    }
    let mut access = Access::default();
    if instance.config.default_role {
        access.add(default_permissions(tx, instance)?);
    }
    for granted in &subject.roles {
        if granted.name == RoleName::DEFAULT {
            access.add(default_permissions(tx, instance)?);
            continue;
        }
        let role = instance.storage.roles.get(tx, &granted.name)?;
        if let Some(role) = role.filter(|role| role.since == granted.since) {
            access.add(role.permissions);
        }
    }
    Ok(access)
}

/// The names of the roles that a user has: those that were deleted are not among them. Does not yield.
pub fn names(tx: &Tx, instance: &Instance, subject: Subject) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for granted in subject.roles {
        if since(tx, instance, &granted.name)? == Some(granted.since) {
            names.push(granted.name);
        }
    }
    Ok(names)
}

/// Which role it is that has this name, or `None` where none has. Does not yield.
fn since(tx: &Tx, instance: &Instance, name: &str) -> Result<Option<u64>, Error> {
    match name {
        // These are always there, and the same.
        RoleName::ADMIN | RoleName::INTROSPECT | RoleName::DEFAULT => Ok(Some(0)),
        _ => instance.storage.roles.since(tx, name),
    }
}

/// Those of the role that every user has. Does not yield.
fn default_permissions(tx: &Tx, instance: &Instance) -> Result<Vec<Permission>, Error> {
    let stored = instance.storage.roles.get(tx, RoleName::DEFAULT)?;
    Ok(stored.map_or_else(|| vec![Permission::everything()], |role| role.permissions))
}

/// The role of this name, as it is given to users. Errors: `NoSuchRole`, `BadRole`. Does not yield.
pub fn granted(tx: &Tx, instance: &Instance, name: &str) -> Result<Granted, Error> {
    RoleName::check(name)?;
    let since = since(tx, instance, name)?.ok_or(Error::NoSuchRole)?;
    let name = name.to_owned();
    Ok(Granted { name, since })
}

/// Gives a role to a user, from the next request on. Errors: `NoSuchUser`, `NoSuchRole`, `BadRole`. Yields.
pub fn grant(tx: &Tx, instance: &Instance, grant: &Grant) -> Result<Outcome, Error> {
    change(tx, instance, grant, |roles| {
        let granted = granted(tx, instance, &grant.role)?;
        roles.retain(|one| one.name != granted.name);
        roles.push(granted);
        roles.sort();
        match roles.len() {
            0..=MAX => Ok(()),
            _ => Err(Error::BadRole("a user may have at most 100 roles")),
        }
    })
}

/// Takes a role from a user, from the next request on. Errors: `NoSuchUser`. Yields.
pub fn revoke(tx: &Tx, instance: &Instance, grant: &Grant) -> Result<Outcome, Error> {
    change(tx, instance, grant, |roles| {
        roles.retain(|one| one.name != grant.role);
        Ok(())
    })
}

fn change(
    tx: &Tx,
    instance: &Instance,
    grant: &Grant,
    change: impl Fn(&mut Vec<Granted>) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let storage = &instance.storage;
    storage.reserve.transaction(tx, Depth::Last, || {
        users::check_is_there(tx, instance, &grant.login)?;
        let mut subject = storage.subjects.get(tx, &grant.login)?;
        change(&mut subject.roles)?;
        storage
            .subjects
            .put(tx, &storage.mirror, &grant.login, &subject)
    })?;
    users::get(tx, instance, &grant.login)
}

/// All roles in order of name, those that are always there included. Does not yield.
pub fn list(tx: &Tx, instance: &Instance) -> Result<Outcome, Error> {
    let mut roles = instance.storage.roles.all(tx)?;
    let fixed = [
        (RoleName::ADMIN, vec![Permission::everything()]),
        (RoleName::INTROSPECT, vec![]),
        (RoleName::DEFAULT, vec![Permission::everything()]),
    ];
    for (name, permissions) in fixed {
        if roles.iter().all(|role| role.name != name) {
            let name = name.to_owned();
            roles.push(Role { name, permissions });
        }
    }
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Outcome::Roles { roles })
}

/// Makes a role, or gives one other permissions, from the next request on. Errors: `BadRole`. Yields.
pub fn set(
    tx: &Tx,
    instance: &Instance,
    role: String,
    permissions: Vec<Permission>,
) -> Result<Outcome, Error> {
    let name = RoleName::new(role)?;
    name.check_changeable()?;
    let permissions = Permissions::new(permissions, &instance.config.limits)?.into_inner();
    let storage = &instance.storage;
    storage.reserve.transaction(tx, Depth::Last, || {
        let mirror = &storage.mirror;
        storage
            .roles
            .put(tx, mirror, name.as_str(), Some(&permissions))
    })?;
    Ok(Outcome::Role(Role {
        name: name.as_str().to_owned(),
        permissions,
    }))
}

/// Deletes a role; those that have it lose what it gave. Errors: `NoSuchRole`, `BadRole`. Yields.
pub fn delete(tx: &Tx, instance: &Instance, role: String) -> Result<Outcome, Error> {
    let name = RoleName::of_any_version(role)?;
    name.check_changeable()?;
    if name.as_str() == RoleName::DEFAULT {
        return Err(Error::BadRole("default cannot be deleted: set it"));
    }
    let storage = &instance.storage;
    storage.reserve.transaction(tx, Depth::Last, || {
        if storage.roles.get(tx, name.as_str())?.is_none() {
            return Err(Error::NoSuchRole);
        }
        storage.roles.put(tx, &storage.mirror, name.as_str(), None)
    })?;
    Ok(Outcome::Done(Done::Deleted))
}
