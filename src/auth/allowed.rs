//! What a proxy asks before it lets a request pass. Runs on the tx thread.

use super::access;
use super::principal::Principal;
use super::Auth;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_command::{Allowed, Outcome, Question};
use authkv_domain::RoleName;

/// Who the caller is, if the caller has what is asked for. Errors: `RoleRequired`, `Forbidden`; `NotOffered` for a key if this
/// instance has no keys, because roles may give others where the keys are. Does not yield.
pub fn allowed(
    tx: &Tx,
    auth: &Auth,
    who: &Principal,
    question: Question,
) -> Result<Outcome, Error> {
    let user = who.user()?;
    let roles = access::names(tx, auth, user.subject.clone())?;
    if let Some(role) = question.role {
        let role = role.as_str();
        let has_default = user.has_default && auth.config.live().default_role;
        let is_everyones = role == RoleName::DEFAULT && has_default;
        if !is_everyones && roles.iter().all(|one| one != role) {
            return Err(Error::RoleRequired(role.to_owned().into()));
        }
    }
    if let Some((kind, key)) = question.key {
        if !auth.config.services.kv {
            return Err(Error::NotOffered);
        }
        who.access(tx, auth)?.check_key(kind, key.as_bytes())?;
    }
    Ok(Outcome::Allowed(Allowed {
        login: user.login.to_owned(),
        roles,
    }))
}
