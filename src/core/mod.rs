//! The one path of every transport from [`Request`] to [`Outcome`]: it authenticates, authorizes and executes. Runs on the
//! tx thread.

pub mod carried_call;
pub mod forward;
pub mod fresh;
pub mod limits;
mod measure;
pub mod metrics;

pub use measure::Sources;

use crate::audit::{Audit, Event};
use crate::auth::principal::authenticate;
use crate::auth::{
    allowed, api_keys, arrival, keyring, login, one_time, refresh, restored, roles, rotation,
    session, users, Auth,
};
use crate::kv::{self, Kv};
use crate::tx::{
    await_durability_since, is_read_only, log, lua, orphan, session as tx_session, take_undurable,
    Mark, Tx,
};
use authkv_base::clock::microseconds;
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_base::ticks::Instant;
use authkv_command::{Caller, Command, Freshness, Outcome, Privilege, Request};
use authkv_config::Config;
use forward::{forward, Forward};
use limits::Limits;
use metrics::Running;
use std::sync::{Arc, OnceLock};

/// Executes commands.
pub struct Core {
    pub auth: Auth,
    pub kv: Kv,
    pub audit: Audit,
    pub limits: Limits,
    pub forward: Forward,
    pub config: Arc<Config>,
    /// What other parts of the instance count. Set at the start.
    pub sources: OnceLock<Sources>,
}

/// What a restore has changed, for the operator.
#[derive(Debug, serde::Serialize)]
pub struct Restored {
    /// Revisions are higher than this from now on.
    revision: u64,
}

/// The highest revision that JavaScript reads exactly.
const REVISION_MAX: u64 = (1 << 53) - 1;

/// The highest revision that may be named as given. Half of the exact numbers are left for later ones.
const KNOWN_MAX: u64 = 1 << 52;

/// After a restore of a back-up: ends all tokens that were given before, and goes on with revisions above all that were given.
/// These are above the time in microseconds, and above `known`. Errors: `ClockBehind` if that is not above what the back-up has,
/// `BadOption`, `ReadOnly`, `Overloaded`. Yields.
pub fn restored(tx: &Tx, core: &'static Core, known: Option<u64>) -> Result<Restored, Error> {
    if known.is_some_and(|known| known > KNOWN_MAX) {
        return Err(Error::BadOption {
            name: "revision",
            allowed:
                "at most 2^52 (4503599627370496), so that all later ones are exact in JavaScript",
        });
    }
    let revision = known.map_or(0, |known| known + 1).max(microseconds());
    if revision > REVISION_MAX {
        return Err(Error::BadOption {
            name: "clock",
            allowed: "before the year 2255",
        });
    }
    core.kv.restored(tx, revision)?;
    restored::restored(tx, &core.auth, revision)?;
    log::warn(&format!(
        "this data was restored: tokens that were given before have ended, and revisions go on above {revision}"
    ));
    Ok(Restored { revision })
}

/// Executes a command and writes the audit log. Yields if the command waits for a thread or commits (see the lanes of
/// [`Operation`]), or if it has read changes that are not durable yet.
pub fn execute(tx: &Tx, core: &'static Core, request: Request) -> Result<Outcome, Error> {
    execute_begun(tx, core, request, Instant::now())
}

/// Like [`execute`], for a request that has begun already.
pub fn execute_begun(
    tx: &Tx,
    core: &'static Core,
    request: Request,
    begun: Instant,
) -> Result<Outcome, Error> {
    let running = Running::begin(&request.command, request.origin.transport, begun);
    let (mut result, undurable) = run(tx, core, request);
    if let Some(mark) = undurable {
        result = await_durability_since(tx, mark).and(result);
    }
    running.end(&result);
    result
}

/// Like [`execute_begun`], but does not wait for changes that are not durable yet. Returns what the answer has to wait for, and
/// the time of the end.
pub fn execute_undurable(
    tx: &Tx,
    core: &'static Core,
    request: Request,
    begun: Instant,
) -> (Result<Outcome, Error>, Option<Mark>, Instant) {
    let running = Running::begin(&request.command, request.origin.transport, begun);
    let (result, undurable) = run(tx, core, request);
    let ended = running.end(&result);
    (result, undurable, ended)
}

fn run(tx: &Tx, core: &'static Core, request: Request) -> (Result<Outcome, Error>, Option<Mark>) {
    let Request {
        mut origin,
        caller,
        command,
        counts,
        fresh,
        mut carried,
    } = request;
    // First, because this may yield, and what is read later must still be true at the write.
    if command.operation().may_write() {
        orphan::outlast(tx);
    }
    if let Some(told) = forward(tx, core, &caller, &command, carried.as_deref()) {
        return (told, None);
    }
    if carried.take().is_some() && is_read_only(tx) {
        if let Some(error) = fresh::stays_behind(core, command.operation(), &fresh) {
            return (Err(error), None);
        }
    }
    // The delays after failed logins and the audit log need the address.
    if command.operation().row().audited {
        origin = tx_session::resolve(tx, origin);
    }
    if arrival::is_new(tx, &core.auth, &caller) {
        arrival::make(tx, &core.auth, &caller);
    }
    let event = Event::begin(&command, &core.config);
    let result = perform(tx, core, (&origin, counts), &caller, (command, fresh));
    let result = result.map_err(|error| match error {
        Error::ReadOnly { .. } => Error::ReadOnly {
            leader: lua::leader(tx),
        },
        other => other,
    });
    event.end(tx, &core.audit, (origin, &caller), &result);
    (result, take_undurable(tx))
}

fn perform(
    tx: &Tx,
    core: &'static Core,
    (origin, counts): (&Origin, bool),
    caller: &Caller,
    (command, fresh): (Command, Result<Freshness, Error>),
) -> Result<Outcome, Error> {
    let Core {
        auth, kv, limits, ..
    } = core;
    let operation = command.operation();
    if !operation.offered_by(core.config.services) {
        return Err(Error::NotOffered);
    }
    let privilege = operation.privilege(&core.config);
    let who = match privilege {
        Privilege::Nothing => None,
        _ => Some(authenticate(tx, auth, caller)?),
    };
    if let Some(who) = &who {
        if let (true, Ok(user)) = (counts, who.user()) {
            limits.admit_user(user.login)?;
        }
        if operation.refuses_api_keys() {
            who.check_is_no_key()?;
        }
        who.check(privilege)?;
    } else if operation.is_registration() {
        limits.admit_registration(&origin.peer)?;
    }
    fresh?;
    let who = || who.as_ref().ok_or(Error::Unauthenticated);
    let access = || who()?.access(tx, auth);
    match command {
        Command::Get(keys) => kv::get(tx, kv, &access()?, &keys?),
        Command::Put(steps) => kv::put(tx, kv, &access()?, &steps?),
        Command::Check => match authenticate(tx, auth, caller) {
            Ok(principal) => Ok(Outcome::Checked(principal.described(auth))),
            Err(Error::Unauthenticated) => Ok(Outcome::Checked(None)),
            Err(other) => Err(other),
        },
        Command::Register(input) => users::register(tx, auth, input),
        Command::UserRegister(input) => users::register_uncommon(tx, auth, input),
        Command::Login(input) => login::login(tx, auth, origin, input),
        Command::Logout => session::logout(tx, auth, who()?),
        Command::SessionLogin(input) => session::login(tx, auth, origin, input),
        Command::SessionRefresh(token) => refresh::refresh(tx, auth, origin, &token),
        Command::SessionList => session::list_own(tx, auth, who()?),
        Command::SessionRevoke(id) => session::revoke_own(tx, auth, who()?, &id.0),
        Command::UserSessionList(login) => session::list_of(tx, auth, who()?, &login),
        Command::UserSessionRevoke(of) => session::revoke_of(tx, auth, &of),
        Command::SessionLogoutAll => session::logout_all(tx, auth, who()?),
        Command::SessionIntrospect(token) => session::introspect(tx, auth, token),
        Command::UserRename(names) => users::rename(tx, auth, who()?, names),
        Command::UserDeleteOwn(given) => users::delete_own(tx, auth, who()?, origin, given),
        Command::UserResetToken(request) => one_time::make(tx, auth, who()?, &request),
        Command::UserVerificationToken(request) => one_time::make_for_email(tx, auth, &request),
        Command::UserVerifyEmail(token) => one_time::verify_email(tx, auth, &token),
        Command::UserResetPassword(input) => one_time::reset(tx, auth, input),
        Command::ApiKeyCreate(input) => api_keys::create_own(tx, auth, who()?, input),
        Command::ApiKeyList => api_keys::list_own(tx, auth, who()?),
        Command::ApiKeyRevoke(id) => api_keys::revoke_own(tx, auth, who()?, &id.0),
        Command::UserApiKeyCreate(input) => api_keys::create_of(tx, auth, input),
        Command::UserApiKeyList(login) => api_keys::list_of(tx, auth, &login),
        Command::UserApiKeyRevoke(of) => api_keys::revoke_of(tx, auth, &of),
        Command::UserCreateService(one) => {
            who()?.check_gives(&one.roles)?;
            users::create_service(tx, auth, one.login, one.roles)
        }
        Command::UserMe => users::me(tx, auth, who()?),
        Command::UserPassword(input) => users::change_password(tx, auth, who()?, origin, input),
        Command::UserList(page) => users::list(tx, auth, page?),
        Command::UserGet(login) => users::get(tx, auth, &login),
        Command::UserCreate(input, roles) => {
            who()?.check_gives(&roles)?;
            users::create(tx, auth, input, roles)
        }
        Command::UserDelete(login) => users::delete(tx, auth, &login),
        Command::UserDisable(login) => users::set_disabled(tx, auth, &login, true),
        Command::UserEnable(login) => users::set_disabled(tx, auth, &login, false),
        Command::UserLogout(login) => users::logout(tx, auth, &login),
        Command::UserSetPassword(input) => users::set_password(tx, auth, input),
        Command::AuthAccess(question) => allowed::allowed(tx, auth, who()?, question?),
        Command::RoleGrant(grant) => {
            who()?.check_gives(std::slice::from_ref(&grant.role))?;
            roles::grant(tx, auth, &grant)
        }
        Command::RoleRevoke(grant) => roles::revoke(tx, auth, &grant),
        Command::RoleList => roles::list(tx, auth),
        Command::RoleSet(role) => roles::set(tx, auth, role),
        Command::RoleDelete(role) => roles::delete(tx, auth, role),
        Command::KeySet => Ok(keyring::key_set(auth)),
        Command::KeyList => keyring::list(tx, auth),
        Command::KeyRotate(publish) => rotation::rotate(tx, auth, publish?),
        Command::ServerMetrics(of_tarantool) => Ok(measure::measure(tx, core, of_tarantool)),
        Command::ServerCluster => lua::cluster(tx).map(Outcome::Cluster),
        Command::KeyRetire(kid) => rotation::retire(tx, auth, &kid),
        Command::BatchGet(keys, strict) => kv::batch_get(tx, kv, &access()?, &keys?, strict),
        Command::BatchPut(steps) | Command::BatchDelete(steps) => {
            kv::batch(tx, kv, &access()?, &steps?)
        }
        Command::KvTxn(txn) => kv::txn(tx, kv, &access()?, &txn?),
        Command::QuotaList(page) => kv::quotas(tx, kv, page?),
        Command::KvList(listing) => kv::list(tx, kv, &access()?, &listing?),
        Command::KvDelete(deletion) => {
            let access_now = || who()?.access_now(tx, auth);
            kv::delete_range(tx, kv, access()?, access_now, deletion?)
        }
        Command::KvWatch(watching) => {
            let watching = watching?;
            let access_now = || who()?.access_now(tx, auth);
            kv::watch(tx, kv, access()?, access_now, &watching)
        }
        Command::KvIncr(steps)
        | Command::PairGet(steps)
        | Command::PairPut(steps)
        | Command::PairDelete(steps) => kv::one(tx, kv, &access()?, &steps?),
    }
}
