//! What is trusted of an issuer: an entry of the file of issuers, with its rules. Pure.

use super::algorithm::Algorithm;
use crate::unique;
use authkv_domain::RoleName;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The most issuers in the file.
const ISSUERS_MAX: usize = 32;
/// The most bytes of a name in the file.
const NAME_MAX: usize = 512;
/// The type of an access token (RFC 9068 §2.1), and that of an ID token.
const ACCESS: &str = "at+jwt";
const ID: &str = "JWT";

/// Which tokens of an issuer are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Access,
    /// ID tokens of OpenID Connect, for issuers whose access tokens are no JSON Web Tokens.
    Id,
}

/// The file as a whole.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuers: Vec<Value>,
}

/// An issuer, and what is accepted of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The claim `iss`, letter for letter.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// Names of this service: a token has one of them in `aud`.
    pub audience: Vec<String>,
    #[serde(default)]
    pub token: Kind,
    #[serde(default = "default_algorithms")]
    algorithms: Vec<String>,
    /// The accepted values of `typ` in the header; null if it may be missing.
    types: Option<Vec<Option<String>>>,
    /// The clients for which tokens are accepted; those of any client if it is missing.
    pub clients: Option<Vec<String>>,
    /// Other members of a header that may be there, and are not looked at.
    #[serde(default)]
    pub header_members: Vec<String>,
    /// Claims that have to have these values.
    #[serde(default)]
    pub required_claims: Map<String, Value>,
    #[serde(default = "default_login_claim")]
    pub login_claim: ClaimPath,
    /// What stands before the claim in the login of the user.
    pub login_prefix: String,
    pub roles_claim: Option<ClaimPath>,
    /// Roles of authkv by values of the claim.
    #[serde(default)]
    roles: BTreeMap<String, OneOrMore>,
    /// Makes a user at the first request, if there is none.
    #[serde(default)]
    pub create: bool,
    /// Seconds that a token may be good for, from its `iat` to its `exp`.
    #[serde(default = "default_lifetime")]
    pub lifetime_max: u64,
}

/// Where the keys of an issuer are.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "it should have url or file, and their options only"
)]
pub enum KeySource {
    File(KeyFile),
    Url(Remote),
}

/// A file with a key set, read at the start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    pub file: PathBuf,
}

/// A key set that is fetched. Times are in seconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    pub url: String,
    /// Certificates (PEM) of the authorities that are trusted instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// For a fetch as a whole.
    #[serde(default = "default_timeout")]
    pub timeout: u64,
    /// Bytes of a key set.
    #[serde(default = "default_bytes")]
    pub bytes_max: usize,
    /// The bounds of the time between two fetches, whatever the issuer says.
    #[serde(default = "default_refresh_min")]
    pub refresh_min: u64,
    #[serde(default = "default_refresh_max")]
    pub refresh_max: u64,
    /// The least time between two fetches because of a key that is not known.
    #[serde(default = "default_refetch_pause")]
    pub refetch_pause: u64,
}

/// A claim by its name, or by the names on the way to it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct ClaimPath(Vec<String>);

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "it should be a text or a list of texts")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

fn default_algorithms() -> Vec<String> {
    vec![Algorithm::Rs256.name().into()]
}

fn default_login_claim() -> ClaimPath {
    ClaimPath(vec!["sub".into()])
}

fn default_lifetime() -> u64 {
    86_400
}

fn default_timeout() -> u64 {
    5
}

fn default_bytes() -> usize {
    256 * 1024
}

fn default_refresh_min() -> u64 {
    60
}

fn default_refresh_max() -> u64 {
    3600
}

fn default_refetch_pause() -> u64 {
    10
}

impl OneOrMore {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::More(more) => more,
        }
    }
}

impl From<OneOrMore> for ClaimPath {
    fn from(names: OneOrMore) -> Self {
        Self(names.into_vec())
    }
}

impl ClaimPath {
    /// The value of the claim, if it is there.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (last, way) = self.0.split_last()?;
        let inner = |members: &'a Map<String, Value>, name: &String| members.get(name)?.as_object();
        let holder = way.iter().try_fold(claims, inner)?;
        holder.get(last)
    }

    /// Whether it is the claim of this name, at the top.
    pub fn is(&self, name: &str) -> bool {
        matches!(&*self.0, [one] if one == name)
    }
}

/// Reads the text of a file of issuers. `own` is the issuer of authkv's own tokens. The error says what is wrong.
pub fn parse(text: &str, own: &str) -> Result<Vec<Policy>, String> {
    let file = unique::parse(text)?;
    let file: File = serde_json::from_value(file).map_err(|e| e.to_string())?;
    if file.issuers.len() > ISSUERS_MAX {
        return Err(format!("it has more than {ISSUERS_MAX} issuers"));
    }
    let (mut read, mut seen): (Vec<Policy>, _) = (Vec::new(), BTreeSet::new());
    for (number, entry) in file.issuers.into_iter().enumerate() {
        let of = |what: String| format!("issuer {}: {what}", number + 1);
        let policy: Policy = serde_json::from_value(entry).map_err(|e| of(e.to_string()))?;
        policy.check().map_err(of)?;
        if policy.issuer == own {
            return Err(of(
                "its issuer is AUTHKV_TOKEN_ISSUER, that of authkv's own tokens".into(),
            ));
        }
        // Otherwise a user of one could come as a user of the other.
        for (name, value) in [
            ("issuer", &policy.issuer),
            ("login_prefix", &policy.login_prefix),
        ] {
            if !seen.insert((name, value.clone())) {
                return Err(of(format!("its {name} is that of another issuer too")));
            }
        }
        read.push(policy);
    }
    Ok(read)
}

impl Policy {
    /// The algorithms of its keys.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let names = self.algorithms.iter();
        names
            .filter_map(|name| Algorithm::from_name(name))
            .collect()
    }

    /// Whether a token of this `typ` is accepted. It is a media type, whose case does not count and whose `application/` may be
    /// left out (RFC 7515 §4.1.9).
    pub fn takes_type(&self, typ: Option<&str>) -> bool {
        let short = |typ: &str| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
        };
        let given = typ.map(short);
        match (&self.types, self.token) {
            (Some(types), _) => types.iter().any(|one| one.as_deref().map(short) == given),
            (None, Kind::Access) => given.as_deref() == Some(ACCESS),
            (None, Kind::Id) => given == Some(short(ID)),
        }
    }

    /// The roles of authkv for a value of the claim.
    pub fn roles_of(&self, value: &str) -> impl Iterator<Item = String> + use<> {
        let roles = self.roles.get(value).cloned().map(OneOrMore::into_vec);
        roles.unwrap_or_default().into_iter()
    }

    fn check(&self) -> Result<(), String> {
        /// Members of a header that say something that has to be understood, or from where to take a key.
        const NEVER: [&str; 16] = [
            "alg", "typ", "kid", "crit", "b64", "zip", "cty", "enc", "epk", "apu", "apv", "p2s",
            "jku", "jwk", "x5u", "x5c",
        ];
        check_text("issuer", &self.issuer)?;
        check_texts("audience", &self.audience)?;
        check_texts("algorithms", &self.algorithms)?;
        for name in &self.algorithms {
            if Algorithm::from_name(name).is_none() {
                let known = Algorithm::ALL.map(Algorithm::name).join(", ");
                return Err(format!("its algorithms should be of {known}"));
            }
        }
        if let Some(clients) = &self.clients {
            check_texts("clients", clients)?;
        }
        if self.types.as_ref().is_some_and(Vec::is_empty) {
            return Err("its types should be a list of at least one".into());
        }
        if let Some(name) = self
            .header_members
            .iter()
            .find(|name| NEVER.contains(&&***name))
        {
            return Err(format!("its header_members may not have {name}"));
        }
        check_texts("login_claim", &self.login_claim.0)?;
        if let Some(claim) = &self.roles_claim {
            check_texts("roles_claim", &claim.0)?;
        }
        if self.roles_claim.is_none() != self.roles.is_empty() {
            return Err("roles_claim and roles go together".into());
        }
        for role in self
            .roles
            .values()
            .flat_map(|roles| roles.clone().into_vec())
        {
            RoleName::check(&role).map_err(|e| format!("its roles: {e}"))?;
        }
        check_prefix(&self.login_prefix, self.create)?;
        check_number("lifetime_max", self.lifetime_max, 60, 31_536_000)?;
        match &self.keys {
            KeySource::File(_) => Ok(()),
            KeySource::Url(remote) => remote.check(),
        }
    }
}

impl Remote {
    fn check(&self) -> Result<(), String> {
        check_text("url", &self.url)?;
        for (name, value, min, max) in [
            ("timeout", self.timeout, 1, 60),
            ("bytes_max", self.bytes_max as u64, 1024, 16 << 20),
            ("refresh_min", self.refresh_min, 1, 86_400),
            ("refresh_max", self.refresh_max, 1, 604_800),
            ("refetch_pause", self.refetch_pause, 1, 3600),
        ] {
            check_number(name, value, min, max)?;
        }
        match self.refresh_min <= self.refresh_max {
            true => Ok(()),
            false => Err("its refresh_min should be at most its refresh_max".into()),
        }
    }
}

/// No login of authkv has a colon, so a user of the issuer is no other user.
fn check_prefix(prefix: &str, create: bool) -> Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match prefix.strip_suffix(':') {
        None if prefix.is_empty() && !create => Ok(()),
        None if prefix.is_empty() => Err(
            "its login_prefix should not be empty with create: it would make users of authkv's own logins".into(),
        ),
        Some(name) if (1..=32).contains(&name.len()) && name.bytes().all(is_allowed) => Ok(()),
        _ => Err("its login_prefix should be 1 to 32 ASCII letters, digits, hyphens, underscores or dots, with a colon at the end".into()),
    }
}

fn check_number(name: &str, value: u64, min: u64, max: u64) -> Result<(), String> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => Err(format!("its {name} should be from {min} to {max}")),
    }
}

fn check_texts(name: &str, texts: &[String]) -> Result<(), String> {
    match texts.is_empty() {
        true => Err(format!("its {name} should not be empty")),
        false => texts.iter().try_for_each(|text| check_text(name, text)),
    }
}

fn check_text(name: &str, text: &str) -> Result<(), String> {
    let is_odd = |char: char| char.is_control() || char.is_whitespace();
    match (1..=NAME_MAX).contains(&text.len()) && !text.contains(is_odd) {
        true => Ok(()),
        false => Err(format!(
            "its {name} should have 1 to {NAME_MAX} bytes without white space"
        )),
    }
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
