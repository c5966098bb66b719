//! The claims of a token of another issuer, checked by its policy (RFC 7519 §4.1, RFC 8725 §3, RFC 9068 §4, OpenID Connect
//! Core §3.1.3.7). Pure. A refusal is a phrase for the operator's log; the client learns nothing of it.

use super::policy::{Kind, Policy};
use authkv_domain::{Claims, Login, Outside};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most bytes of a login without its prefix.
const LOGIN_MAX: usize = 128;
/// The most bytes of a `jti`.
const JTI_MAX: usize = 256;
/// The most characters of a name.
const PERSON_NAME_MAX: usize = 64;
/// The most roles that a token gives.
const ROLES_MAX: usize = 100;
/// The latest time that is a number in every language, in seconds.
const TIME_MAX: f64 = 9_007_199_254_740_991.0;

/// Claims that are in ID tokens and in no access tokens (OpenID Connect Core §2, §3.1.3.6, §3.3.2.11).
const OF_ID_TOKENS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// A phrase for the log.
pub type Refusal = &'static str;

/// The claims of a token whose signature is right. `digest` is that of the token without its signature, `id` makes the id of
/// revocation of the `jti`, `now` is in seconds since 1970-01-01 UTC.
pub fn check(
    policy: &Policy,
    claims: &Map<String, Value>,
    (now, leeway): (u64, u64),
    revocation_id: impl FnOnce(Option<&str>) -> String,
) -> Result<Claims, Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(&policy.issuer) {
        return Err("the issuer is another");
    }
    let audiences = audiences(claims)?;
    let aud = policy
        .audience
        .iter()
        .find(|one| audiences.contains(&one.as_str()));
    let aud = aud.ok_or("the audience (aud) is another")?;
    check_purpose(policy.token, claims)?;
    check_client(policy, claims, &audiences)?;
    for (name, value) in &policy.required_claims {
        if claims.get(name) != Some(value) {
            return Err("a claim of required_claims is missing or another");
        }
    }
    let (iat, nbf, exp) = times(policy, claims, now, leeway)?;
    let login = login(policy, claims)?;
    let jti = claims.get("jti").map(|jti| text(jti, JTI_MAX)).transpose();
    let jti = jti.map_err(|()| "the id (jti) is not a text of 1 to 256 bytes")?;
    let revocation_id = revocation_id(jti);
    Ok(Claims {
        iss: policy.issuer.clone(),
        aud: aud.clone(),
        sub: login.clone(),
        jti: jti.unwrap_or(&revocation_id).to_owned(),
        iat,
        nbf,
        exp,
        username: login.clone(),
        email: login,
        epoch: 0,
        sid: None,
        outside: Some(Arc::new(Outside {
            revocation_id,
            roles: roles(policy, claims),
            creates: policy.create,
            name: person_name(claims, "given_name"),
            surname: person_name(claims, "family_name"),
        })),
    })
}

/// A text of 1 to `max` bytes.
fn text(value: &Value, max: usize) -> Result<&str, ()> {
    let text = value.as_str().ok_or(())?;
    match (1..=max).contains(&text.len()) {
        true => Ok(text),
        false => Err(()),
    }
}

/// A text, or a list of texts (RFC 7519 §4.1.3).
fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, Refusal> {
    let audiences = match claims.get("aud") {
        Some(Value::String(one)) => Some(vec![one.as_str()]),
        Some(Value::Array(more)) => more.iter().map(Value::as_str).collect(),
        _ => None,
    };
    audiences.ok_or("there is no audience (aud), or it is of another type")
}

/// Tokens of the other kind, and tokens for another purpose.
fn check_purpose(kind: Kind, claims: &Map<String, Value>) -> Result<(), Refusal> {
    // Whoever has a token with a proof of possession has to prove it (RFC 7800 §3, RFC 8705, RFC 9449): authkv cannot check that.
    if claims.contains_key("cnf") {
        return Err("the token is bound to a key of its client (cnf)");
    }
    // RFC 8417 §2.2: a security event, such as a logout (OpenID Connect Back-Channel Logout §2.4).
    if claims.contains_key("events") {
        return Err("the token is one of an event (events)");
    }
    // Keycloak and Cognito name the kind in a claim.
    let said = |name: &str| claims.get(name).and_then(Value::as_str);
    let (typ, usage) = (said("typ"), said("token_use"));
    match kind {
        Kind::Access if OF_ID_TOKENS.iter().any(|name| claims.contains_key(*name)) => {
            Err("it is an ID token, or a claim says so (nonce, at_hash, c_hash, s_hash)")
        }
        Kind::Access if typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("bearer")) => {
            Err("the claim typ says that it is no access token")
        }
        Kind::Access if usage.is_some_and(|usage| usage != "access") => {
            Err("the claim token_use says that it is no access token")
        }
        Kind::Id if typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("id")) => {
            Err("the claim typ says that it is no ID token")
        }
        Kind::Id if usage.is_some_and(|usage| usage != "id") => {
            Err("the claim token_use says that it is no ID token")
        }
        Kind::Access | Kind::Id => Ok(()),
    }
}

/// The client for which the token was issued: `azp` (OpenID Connect Core §3.1.3.7, 4 and 5) or `client_id` (RFC 9068 §2.2).
fn check_client(
    policy: &Policy,
    claims: &Map<String, Value>,
    audiences: &[&str],
) -> Result<(), Refusal> {
    let mut parties = Vec::new();
    for name in ["azp", "client_id"] {
        if let Some(party) = claims.get(name) {
            let party = party.as_str();
            parties.push(party.ok_or("the client (azp, client_id) is of another type")?);
        }
    }
    let (allowed, needed) = match (&policy.clients, policy.token) {
        (Some(clients), _) => (clients, true),
        (None, Kind::Id) => (&policy.audience, audiences.len() > 1),
        (None, Kind::Access) => return Ok(()),
    };
    if parties.is_empty() && needed {
        return Err("there is no client (azp, client_id)");
    }
    let is_allowed = |party: &&str| allowed.iter().any(|one| one == party);
    match parties.iter().all(is_allowed) {
        true => Ok(()),
        false => Err("the client (azp, client_id) is another"),
    }
}

/// `iat`, `nbf` and `exp`.
fn times(
    policy: &Policy,
    claims: &Map<String, Value>,
    now: u64,
    leeway: u64,
) -> Result<(u64, u64, u64), Refusal> {
    let time = |name: &str| claims.get(name).map(seconds).transpose();
    let exp = time("exp")?.ok_or("there is no expiry (exp)")?;
    // What ends all tokens of a user ends those that were issued before.
    let iat = time("iat")?.ok_or("it does not say when it was issued (iat)")?;
    let nbf = time("nbf")?.unwrap_or(iat);
    if iat > now + leeway {
        return Err("it was issued in the future (iat)");
    }
    if nbf > now + leeway {
        return Err("it is not yet valid (nbf)");
    }
    if exp + leeway < now {
        return Err("it has expired (exp)");
    }
    // Revocations are kept for as long.
    match exp.checked_sub(iat) {
        None => Err("it expires before it was issued (exp, iat)"),
        Some(lifetime) if lifetime > policy.lifetime_max => {
            Err("it is good for longer than lifetime_max (exp, iat)")
        }
        Some(_) => Ok((iat, nbf, exp)),
    }
}

/// A number of seconds since 1970-01-01 UTC, which may have a fraction (RFC 7519 §2).
fn seconds(value: &Value) -> Result<u64, Refusal> {
    let seconds = value.as_f64().filter(|time| (0.0..TIME_MAX).contains(time));
    let seconds = seconds.ok_or("a time (exp, nbf, iat) is no number of seconds")?;
    Ok(seconds as u64)
}

/// The login: the prefix, and the claim. Its characters are few, so that no two logins look alike, and none of them means
/// something in a key (`/`) or in another login (`:`).
fn login(policy: &Policy, claims: &Map<String, Value>) -> Result<String, Refusal> {
    // OpenID Connect Core §5.7: an e-mail address that was not verified may be that of somebody else.
    let is_verified = || claims.get("email_verified") == Some(&Value::Bool(true));
    let of_email = policy.login_claim.is("email");
    if of_email && !is_verified() {
        return Err("the e-mail address is not verified (email_verified)");
    }
    if !matches!(claims.get("sub"), Some(Value::String(_))) {
        return Err("there is no subject (sub), or it is of another type");
    }
    let claim = policy.login_claim.find(claims);
    let claim = claim.and_then(|claim| text(claim, LOGIN_MAX).ok());
    let claim = claim.ok_or("the claim of the login is no text of 1 to 128 bytes")?;
    let is_allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'+' | b'|')
    };
    // Otherwise an issuer that lets users choose any text as their address would let them come as any user.
    if of_email && !Login::is_address(claim) {
        return Err("the claim email is no e-mail address");
    }
    let is_name = claim.bytes().any(|byte| byte.is_ascii_alphanumeric());
    match is_name && claim.bytes().all(is_allowed) {
        // One address is one user, in whatever case the issuer writes it.
        true if of_email => Ok(policy.login_prefix.clone() + &Login::normal(claim.to_owned())),
        // Without a prefix it may be the address of a user of authkv.
        true => Ok(Login::normal(format!("{}{claim}", policy.login_prefix))),
        false => Err(
            "the claim of the login has characters other than ASCII letters, digits and - _ . @ + |",
        ),
    }
}

/// The roles of the values of the claim: a list, or words in a text as in `scope` (RFC 9068 §2.2.3).
fn roles(policy: &Policy, claims: &Map<String, Value>) -> Vec<String> {
    let claim = policy.roles_claim.as_ref();
    let values: Vec<&str> = match claim.and_then(|claim| claim.find(claims)) {
        Some(Value::String(words)) => words.split(' ').collect(),
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let roles = values.into_iter().flat_map(|value| policy.roles_of(value));
    let roles: BTreeSet<String> = roles.collect();
    roles.into_iter().take(ROLES_MAX).collect()
}

/// A name of the user, or nothing if it is not there or odd.
fn person_name(claims: &Map<String, Value>, claim: &str) -> String {
    let name = claims
        .get(claim)
        .and_then(Value::as_str)
        .unwrap_or_default();
    let is_fit = name.chars().count() <= PERSON_NAME_MAX && !name.contains(char::is_control);
    match is_fit {
        true => name.trim().to_owned(),
        false => String::new(),
    }
}
