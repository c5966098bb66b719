//! The one path of every transport from [`Request`] to [`Outcome`]: who sent it, whether they may, what is done then. Runs on
//! the tx thread.

use crate::audit::Event;
use crate::auth::principal::authenticate;
use crate::auth::{keyring, login, roles, rotation, session, users};
use crate::instance::Instance;
use crate::kv;
use crate::tx::{orphan, session as tx_session, settle_since, take_unsettled, Mark, Tx};
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_command::{Caller, Command, Needs, Outcome, Request};

/// Executes a command, and tells the audit log. Yields where the command waits for a thread or commits (see the lanes of
/// [`Operation`]), and where it saw what is not durable yet.
pub fn execute(tx: &Tx, instance: &'static Instance, request: Request) -> Result<Outcome, Error> {
    let (result, unsettled) = execute_unsettled(tx, instance, request);
    if let Some(mark) = unsettled {
        settle_since(tx, mark)?;
    }
    result
}

/// The same, but it does not wait for what is not durable yet. Returns what the answer has to wait for.
pub fn execute_unsettled(
    tx: &Tx,
    instance: &'static Instance,
    request: Request,
) -> (Result<Outcome, Error>, Option<Mark>) {
    let Request {
        mut origin,
        caller,
        command,
    } = request;
    // First of all, because what is read then has to be so still when it writes.
    if command.operation().may_write() {
        orphan::outlast(tx);
    }
    // Delays and the audit log want to know it.
    if command.operation().row().audited {
        origin = tx_session::resolve(tx, origin);
    }
    let event = Event::begin(&command);
    let result = perform(tx, instance, &origin, &caller, command);
    event.end(tx, instance, (origin, &caller), &result);
    (result, take_unsettled(tx))
}

fn perform(
    tx: &Tx,
    instance: &'static Instance,
    origin: &Origin,
    caller: &Caller,
    command: Command,
) -> Result<Outcome, Error> {
    let operation = command.operation();
    if !operation.offered_by(instance.config.services) {
        return Err(Error::NotOffered);
    }
    let needs = operation.needs(&instance.config);
    let who = match needs {
        Needs::Nothing => None,
        _ => Some(authenticate(tx, instance, caller)?),
    };
    if let Some(who) = &who {
        who.check(needs)?;
    }
    let who = || who.as_ref().ok_or(Error::Unauthenticated);
    match command {
        Command::Get(keys) => kv::get(tx, instance, who()?, &keys?),
        Command::Put(steps) => kv::put(tx, instance, who()?, &steps?),
        Command::Check => match authenticate(tx, instance, caller) {
            Ok(principal) => Ok(Outcome::Checked(principal.claims().ok().cloned())),
            Err(Error::Unauthenticated) => Ok(Outcome::Checked(None)),
            Err(other) => Err(other),
        },
        Command::Register(input) => users::register(tx, instance, input),
        Command::UserRegister(input) => users::register_uncommon(tx, instance, input),
        Command::Login(input) => login::login(tx, instance, origin, input),
        Command::Logout => session::logout(tx, instance, who()?),
        Command::SessionLogin(input) => session::login(tx, instance, origin, input),
        Command::SessionRefresh(token) => session::refresh(tx, instance, &token),
        Command::SessionLogoutAll => session::logout_all(tx, instance, who()?),
        Command::SessionIntrospect(token) => session::introspect(tx, instance, token),
        Command::UserMe => users::me(tx, instance, who()?),
        Command::UserPassword { old, new } => {
            users::change_password(tx, instance, who()?, origin, old, new)
        }
        Command::UserList(page) => users::list(tx, instance, page?),
        Command::UserGet(login) => users::get(tx, instance, &login),
        Command::UserCreate(input, roles) => users::create(tx, instance, input, roles),
        Command::UserDelete(login) => users::delete(tx, instance, &login),
        Command::UserDisable(login) => users::set_disabled(tx, instance, &login, true),
        Command::UserEnable(login) => users::set_disabled(tx, instance, &login, false),
        Command::UserLogout(login) => users::logout(tx, instance, &login),
        Command::UserSetPassword(input) => users::set_password(tx, instance, input),
        Command::RoleGrant(grant) => roles::grant(tx, instance, &grant),
        Command::RoleRevoke(grant) => roles::revoke(tx, instance, &grant),
        Command::RoleList => roles::list(tx, instance),
        Command::RoleSet { role, permissions } => roles::set(tx, instance, role, permissions),
        Command::RoleDelete(role) => roles::delete(tx, instance, role),
        Command::KeySet => Ok(keyring::key_set(instance)),
        Command::KeyList => keyring::list(tx, instance),
        Command::KeyRotate(publish) => rotation::rotate(tx, instance, publish?),
        Command::KeyRetire(kid) => rotation::retire(tx, instance, &kid),
        Command::BatchGet(keys, strict) => kv::batch_get(tx, instance, who()?, &keys?, strict),
        Command::BatchPut(steps) | Command::BatchDelete(steps) => {
            kv::batch(tx, instance, who()?, &steps?)
        }
        Command::KvTxn(txn) => kv::txn(tx, instance, who()?, &txn?),
        Command::KvList(listing) => kv::list(tx, instance, who()?, &listing?),
        Command::KvWatch(watching) => kv::watch(tx, instance, who()?, &watching?),
        Command::KvIncr(steps)
        | Command::PairGet(steps)
        | Command::PairPut(steps)
        | Command::PairDelete(steps) => kv::one(tx, instance, who()?, &steps?),
    }
}
