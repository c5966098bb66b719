//! Decodes the input of an operation into its command: a body by name, arguments by position. Pure; any thread.

mod batch;
mod kv;
mod parts;
#[cfg(test)]
mod tests;
mod txn;

pub use kv::DELETION_MAX;
pub(crate) use parts::{option, Checked};
pub use parts::{CONTENT_TYPE_MAX, PAGE, PAGE_MAX};

use super::Freshness;
use super::{ApiKeyId, ApiKeyInput, ServiceUser, UserApiKey, UserApiKeyInput};
use super::{
    Command, Credentials, Grant, NewRole, Operation, Page, PasswordChange, Question, Registration,
};
use super::{Names, NewPassword, OneTimeRequest};
use super::{SessionId, UserSession};
use authkv_base::error::{AccessKind, Error};
use authkv_codec::{self as codec, Document};
use authkv_domain::{Flags, Keyed, Keys, Limits, Permission, RoleName};
use parts::Items;

/// The most seconds from the publication of a key to its first signature.
pub const PUBLISH_MAX: u64 = 86_400;
/// The most roles that a new user may get.
pub const ROLES_MAX: usize = 100;

impl Command {
    /// Reads the input of an operation: from a map by name, or from an array by position after the first
    /// `skip` elements, with what it says of the freshness of the data. Errors: `Malformed`.
    pub fn decode_fresh(
        operation: Operation,
        input: &Document<'_>,
        skip: usize,
        limits: &Limits,
    ) -> Result<(Self, Result<Freshness, Error>), Error> {
        match operation {
            Operation::BatchGet => batch::batch_get(input, skip, limits),
            Operation::KvList => {
                kv::listing(input, skip).map(|(listing, fresh)| (Command::KvList(listing), fresh))
            }
            Operation::PairGet => {
                kv::pair_get(input, skip).map(|(steps, fresh)| (Command::PairGet(steps), fresh))
            }
            _ => {
                let command = Self::decode(operation, input, skip, limits)?;
                Ok((command, Ok(Freshness::default())))
            }
        }
    }

    /// Like [`Self::decode_fresh`], without the freshness.
    pub fn decode(
        operation: Operation,
        input: &Document<'_>,
        skip: usize,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let nothing = || input.fields([], skip).map(|[]| ());
        Ok(match operation {
            Operation::Register => Command::Register(registration(input, skip)?),
            Operation::UserRegister => Command::UserRegister(registration(input, skip)?),
            Operation::UserCreate => {
                let names = ["login", "password", "name", "surname"];
                let (fields, [roles]) = input.fields_and_options(names, ["roles"], skip)?;
                let roles = role_names(roles)?.unwrap_or_default();
                Command::UserCreate(registered(fields)?, roles)
            }
            Operation::UserRename => {
                let [name, surname] = input.fields(["name", "surname"], skip)?;
                Command::UserRename(Names {
                    name: codec::string("name", name)?,
                    surname: codec::string("surname", surname)?,
                })
            }
            Operation::UserDeleteOwn => {
                Command::UserDeleteOwn(text("password", input, skip)?.into())
            }
            Operation::UserResetToken => Command::UserResetToken(one_time_request(input, skip)?),
            Operation::UserVerificationToken => {
                Command::UserVerificationToken(one_time_request(input, skip)?)
            }
            Operation::UserVerifyEmail => {
                Command::UserVerifyEmail(text("verification_token", input, skip)?.into())
            }
            Operation::UserResetPassword => {
                let [token, password] = input.fields(["reset_token", "password"], skip)?;
                Command::UserResetPassword(NewPassword {
                    token: codec::string("reset_token", token)?.into(),
                    password: codec::string("password", password)?.into(),
                })
            }
            Operation::UserCreateService => {
                let ([login], [roles]) = input.fields_and_options(["login"], ["roles"], skip)?;
                Command::UserCreateService(ServiceUser {
                    login: parts::login(login)?,
                    roles: role_names(roles)?.unwrap_or_default(),
                })
            }
            Operation::ApiKeyCreate => {
                let ([name], options) =
                    input.fields_and_options(["name"], ["roles", "ttl"], skip)?;
                Command::ApiKeyCreate(api_key(name, options)?)
            }
            Operation::UserApiKeyCreate => {
                let ([login, name], options) =
                    input.fields_and_options(["login", "name"], ["roles", "ttl"], skip)?;
                Command::UserApiKeyCreate(UserApiKeyInput {
                    login: parts::login(login)?,
                    key: api_key(name, options)?,
                })
            }
            Operation::ApiKeyRevoke => {
                Command::ApiKeyRevoke(ApiKeyId(text("api_key", input, skip)?))
            }
            Operation::UserApiKeyRevoke => {
                let [login, api_key] = input.fields(["login", "api_key"], skip)?;
                Command::UserApiKeyRevoke(UserApiKey {
                    login: parts::login(login)?,
                    api_key: codec::string("api_key", api_key)?,
                })
            }
            Operation::UserApiKeyList => Command::UserApiKeyList(login(input, skip)?),
            Operation::Login => Command::Login(credentials(input, skip)?),
            Operation::SessionLogin => Command::SessionLogin(credentials(input, skip)?),
            Operation::UserSetPassword => Command::UserSetPassword(credentials(input, skip)?),
            Operation::SessionRefresh => {
                Command::SessionRefresh(text("refresh_token", input, skip)?.into())
            }
            Operation::SessionRevoke => {
                Command::SessionRevoke(SessionId(text("session", input, skip)?))
            }
            Operation::UserSessionRevoke => {
                let [login, session] = input.fields(["login", "session"], skip)?;
                Command::UserSessionRevoke(UserSession {
                    login: parts::login(login)?,
                    session: codec::string("session", session)?,
                })
            }
            Operation::UserSessionList => Command::UserSessionList(login(input, skip)?),
            Operation::SessionIntrospect => {
                Command::SessionIntrospect(text("token", input, skip)?.into())
            }
            Operation::UserPassword => {
                let [old, new] = input.fields(["old_password", "new_password"], skip)?;
                Command::UserPassword(PasswordChange {
                    old: codec::string("old_password", old)?.into(),
                    new: codec::string("new_password", new)?.into(),
                })
            }
            Operation::UserList => Command::UserList(page(input, skip)?),
            Operation::QuotaList => Command::QuotaList(page(input, skip)?),
            Operation::AuthAccess => Command::AuthAccess(question(input, skip)?),
            Operation::UserGet => Command::UserGet(login(input, skip)?),
            Operation::UserDelete => Command::UserDelete(login(input, skip)?),
            Operation::UserDisable => Command::UserDisable(login(input, skip)?),
            Operation::UserEnable => Command::UserEnable(login(input, skip)?),
            Operation::UserLogout => Command::UserLogout(login(input, skip)?),
            Operation::RoleGrant => Command::RoleGrant(grant(input, skip)?),
            Operation::RoleRevoke => Command::RoleRevoke(grant(input, skip)?),
            Operation::RoleSet => {
                let [role, list] = input.fields(["role", "permissions"], skip)?;
                Command::RoleSet(NewRole {
                    name: codec::string("role", role)?,
                    permissions: permissions(input, list)?,
                })
            }
            Operation::RoleDelete => Command::RoleDelete(text("role", input, skip)?),
            Operation::KeyRotate => {
                let ([], [publish]) = input.fields_and_options([], ["publish"], skip)?;
                let publish = publish.map(|seconds| codec::number("publish", seconds));
                Command::KeyRotate(publish.transpose()?.map(publication).transpose())
            }
            Operation::ServerMetrics => {
                let ([], [tarantool]) = input.fields_and_options([], ["tarantool"], skip)?;
                let tarantool = tarantool.map(|flag| codec::flag("tarantool", flag));
                Command::ServerMetrics(tarantool.transpose()?.unwrap_or_default())
            }
            Operation::KeyRetire => Command::KeyRetire(text("kid", input, skip)?),
            Operation::Get => {
                let [keys] = input.fields(["keys"], skip)?;
                Command::Get(Keys::decode(keys, limits)?)
            }
            Operation::Put => {
                let [pairs] = input.fields(["data"], skip)?;
                Command::Put(batch::inserts(pairs, limits)?)
            }
            Operation::BatchGet | Operation::KvList | Operation::PairGet => {
                Self::decode_fresh(operation, input, skip, limits)?.0
            }
            Operation::BatchPut => Command::BatchPut(batch::batch_put(input, skip, limits)?),
            Operation::BatchDelete => {
                Command::BatchDelete(batch::batch_delete(input, skip, limits)?)
            }
            Operation::KvTxn => Command::KvTxn(txn::txn(input, skip, limits)?),
            Operation::KvDelete => Command::KvDelete(kv::deletion(input, skip)?),
            Operation::KvIncr => Command::KvIncr(kv::increment(input, skip, limits)?),
            Operation::KvWatch => Command::KvWatch(kv::watching(input, skip)?),
            Operation::PairPut => Command::PairPut(kv::pair_put(input, skip, limits)?),
            Operation::PairDelete => Command::PairDelete(kv::pair_delete(input, skip)?),
            #[cfg(test)]
            Operation::Sample => Command::Sample(text("text", input, skip)?),
            Operation::Logout => nothing().map(|()| Command::Logout)?,
            Operation::Check => nothing().map(|()| Command::Check)?,
            Operation::SessionLogoutAll => nothing().map(|()| Command::SessionLogoutAll)?,
            Operation::ApiKeyList => nothing().map(|()| Command::ApiKeyList)?,
            Operation::SessionList => nothing().map(|()| Command::SessionList)?,
            Operation::UserMe => nothing().map(|()| Command::UserMe)?,
            Operation::KeySet => nothing().map(|()| Command::KeySet)?,
            Operation::RoleList => nothing().map(|()| Command::RoleList)?,
            Operation::ServerCluster => nothing().map(|()| Command::ServerCluster)?,
            Operation::KeyList => nothing().map(|()| Command::KeyList)?,
        })
    }
}

fn text(name: &'static str, input: &Document<'_>, skip: usize) -> Result<String, Error> {
    let [field] = input.fields([name], skip)?;
    codec::string(name, field)
}

/// The part of a list.
fn page(input: &Document<'_>, skip: usize) -> Result<Result<Page, Error>, Error> {
    let ([], [after, limit]) = input.fields_and_options([], ["after", "limit"], skip)?;
    let after = after
        .map(|after| codec::string("after", after))
        .transpose()?;
    let limit = parts::read_limit(limit)?;
    Ok(limit.map(|limit| Page { after, limit }))
}

/// A login, in its normal form.
fn login(input: &Document<'_>, skip: usize) -> Result<String, Error> {
    let [field] = input.fields(["login"], skip)?;
    parts::login(field)
}

fn registration(input: &Document<'_>, skip: usize) -> Result<Registration, Error> {
    registered(input.fields(["login", "password", "name", "surname"], skip)?)
}

fn registered([login, password, name, surname]: [&[u8]; 4]) -> Result<Registration, Error> {
    Ok(Registration {
        login: parts::login(login)?,
        password: codec::string("password", password)?.into(),
        name: codec::string("name", name)?,
        surname: codec::string("surname", surname)?,
    })
}

fn one_time_request(input: &Document<'_>, skip: usize) -> Result<OneTimeRequest, Error> {
    let ([login], [ttl]) = input.fields_and_options(["login"], ["ttl"], skip)?;
    Ok(OneTimeRequest {
        login: parts::login(login)?,
        ttl: parts::option(ttl, |ttl| codec::number("ttl", ttl))?,
    })
}

/// The names of roles, if they are given.
fn role_names(roles: Option<&[u8]>) -> Result<Option<Vec<String>>, Error> {
    let read = |roles| codec::shaped("roles", roles, "an array of names");
    let roles: Option<Vec<String>> = roles.map(read).transpose()?;
    match roles {
        Some(roles) if roles.len() > ROLES_MAX => {
            Err(Error::malformed("roles should be at most 100"))
        }
        roles => Ok(roles),
    }
}

fn api_key(name: &[u8], [roles, ttl]: [Option<&[u8]>; 2]) -> Result<ApiKeyInput, Error> {
    Ok(ApiKeyInput {
        name: codec::string("name", name)?,
        roles: role_names(roles)?,
        ttl: parts::option(ttl, |ttl| codec::number("ttl", ttl))?,
    })
}

fn credentials(input: &Document<'_>, skip: usize) -> Result<Credentials, Error> {
    let [login, password] = input.fields(["login", "password"], skip)?;
    Ok(Credentials {
        login: parts::login(login)?,
        password: codec::string("password", password)?.into(),
    })
}

fn grant(input: &Document<'_>, skip: usize) -> Result<Grant, Error> {
    let [login, role] = input.fields(["login", "role"], skip)?;
    Ok(Grant {
        login: parts::login(login)?,
        role: codec::string("role", role)?,
    })
}

/// The inner error is `BadRole` or `BadOption`.
fn question(input: &Document<'_>, skip: usize) -> parts::Checked<Question> {
    let ([], [role, key, access]) =
        input.fields_and_options([], ["role", "key", "access"], skip)?;
    let text = |name, field| parts::option(field, |field| codec::string(name, field));
    let (role, key, access) = (
        text("role", role)?,
        text("key", key)?,
        text("access", access)?,
    );
    let checked = || {
        let access = access
            .map(|name| AccessKind::from_name(&name))
            .transpose()?;
        if access.is_some() && key.is_none() {
            return Err(Error::BadOption {
                name: "access",
                allowed: "given together with key",
            });
        }
        Ok(Question {
            role: role.map(RoleName::of_any_version).transpose()?,
            key: key.map(|key| (access.unwrap_or(AccessKind::Read), key)),
        })
    };
    Ok(checked())
}

/// The inner error is `BadRole`.
fn permissions(input: &Document<'_>, list: &[u8]) -> parts::Checked<Vec<Permission>> {
    const NAME: &str = "permissions";
    const FORM: &str =
        "an array of objects with prefix or key, and read, write, insert, update and delete";
    const NAMES: [&str; 7] = [
        "prefix", "key", "read", "write", "insert", "update", "delete",
    ];
    let mut items = Items::of(input, NAME, list, FORM)?;
    let mut permissions = Ok(Vec::new());
    while let Some(found) = items.members(input, NAME, FORM, NAMES) {
        let [prefix, key, read, write, insert, update, delete] = found?;
        let text = |name, field| codec::string(name, field);
        let keyed = match (parts::given(prefix), parts::given(key)) {
            (Some(prefix), None) => Keyed::Prefix(text("prefix", prefix)?),
            (None, Some(key)) => Keyed::Key(text("key", key)?),
            _ => return Err(parts::should_be(NAME, FORM)),
        };
        let flag = |name, field| parts::option(field, |field| codec::flag(name, field));
        let flags = Flags {
            read: flag("read", read)?,
            write: flag("write", write)?,
            insert: flag("insert", insert)?,
            update: flag("update", update)?,
            delete: flag("delete", delete)?,
        };
        // The shape of the others is checked all the same.
        permissions = permissions.and_then(|mut all: Vec<_>| {
            all.push(Permission::new(keyed, flags)?);
            Ok(all)
        });
    }
    Ok(permissions)
}

fn publication(seconds: u64) -> Result<u64, Error> {
    match seconds {
        0..=PUBLISH_MAX => Ok(seconds),
        _ => Err(Error::BadOption {
            name: "publish",
            allowed: "from 0 to 86400 seconds",
        }),
    }
}
