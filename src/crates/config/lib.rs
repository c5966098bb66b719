//! The settings of an instance: one list makes one immutable value, checked as a whole. Pure.

#![forbid(unsafe_code)]

mod effect;
mod http;
mod log;
mod origins;
mod proxies;
mod replica_set;
mod replication;
mod rows;
mod settings;
mod shown;
mod text;

pub use effect::TakesEffect;
pub use http::{AccessLog, Layers, Listen, TlsFiles};
pub use log::{Level, Log};
pub use origins::Origins;
pub use proxies::{ForwardedHeader, Proxies};
pub use replication::{Consistency, ElectionMode};
pub use settings::{secrets, Config, HttpConfig, LiveConfig, SETTINGS};

use arc_swap::Guard;
use authkv_codec::nearest;
use authkv_domain::Quota;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use text::{Given, PREFIX};

/// The most bytes in the path of a unix socket: the size of `sun_path` (unix(7)) without the final zero.
const SOCKET_PATH_MAX: usize = 107;

/// Tarantool's default of `checkpoint_wal_threshold`, in bytes.
const NO_THRESHOLD: u64 = 1_000_000_000_000_000_000;

/// The services that an instance offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Services {
    pub auth: bool,
    pub kv: bool,
}

impl Services {
    fn parse(text: &str) -> Option<Self> {
        let mut services = Services {
            auth: false,
            kv: false,
        };
        for name in text.split(',').map(str::trim) {
            match name {
                "auth" => services.auth = true,
                "kv" => services.kv = true,
                _ => return None,
            }
        }
        Some(services)
    }
}

/// The cost of Argon2id (RFC 9106 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// KiB.
    pub memory: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

/// How failed logins delay others.
#[derive(Debug)]
pub struct LoginDelay {
    /// Failures before there is a delay.
    pub failures: u64,
    /// The longest delay in seconds; 0 turns delays off.
    pub max: u64,
    /// Networks with shared addresses, such as those of proxies: an address there does not identify a client.
    pub exempt: Vec<IpNet>,
}

impl LoginDelay {
    /// Whether an address does not identify a client.
    pub fn exempts(&self, address: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(&address))
    }
}

impl Config {
    /// Builds the configuration from settings by name, without the prefix. Missing settings get their defaults. The error names
    /// the variable and the allowed values.
    pub fn new(given: BTreeMap<String, String>) -> Result<Self, String> {
        let is_known = |name: &str| SETTINGS.iter().any(|(known, ..)| *known == name);
        if let Some(unknown) = given.keys().find(|name| !is_known(name)) {
            let known: Vec<&str> = SETTINGS.iter().map(|(name, ..)| *name).collect();
            let meant = nearest(unknown.trim_start_matches(PREFIX), &known);
            let meant = meant.map_or_else(String::new, |name| {
                format!("; did you mean {PREFIX}{name}?")
            });
            return Err(format!(
                "{PREFIX}{unknown} is not a setting{meant} There are: {PREFIX}{{{}}}",
                known.join(", ")
            ));
        }
        let given = Given(given);
        given.check_texts()?;
        let config = Self::read(&given)?;
        config.check_together()?;
        Ok(config)
    }

    /// Checks the rules that involve several settings.
    fn check_together(&self) -> Result<(), String> {
        let live = self.live();
        if live.argon2.memory < 8 * live.argon2.parallelism {
            return Err(format!(
                "{PREFIX}ARGON2_MEMORY should be at least 8 × {PREFIX}ARGON2_PARALLELISM"
            ));
        }
        if live.password_rules.min > live.password_rules.max {
            return Err(format!(
                "{PREFIX}PASSWORD_MIN should be at most {PREFIX}PASSWORD_MAX"
            ));
        }
        if self.follow.is_some() && self.services.auth {
            return Err(format!("{PREFIX}FOLLOW goes with {PREFIX}SERVICES=kv only"));
        }
        if self.follow.is_some() && self.read_only {
            return Err(format!(
                "{PREFIX}FOLLOW needs {PREFIX}READ_ONLY=false: revocations are written"
            ));
        }
        let mut patterns = BTreeSet::new();
        for Quota { pattern, .. } in &self.kv_quotas {
            if !patterns.insert(pattern) {
                return Err(format!(
                    "{PREFIX}KV_QUOTAS has the prefix {pattern:?} more than once"
                ));
            }
        }
        let socket = self.console_listen.as_deref();
        if socket.is_some_and(|path| path.as_os_str().len() > SOCKET_PATH_MAX) {
            return Err(format!(
                "{PREFIX}CONSOLE_LISTEN should be a path of at most {SOCKET_PATH_MAX} bytes, or off"
            ));
        }
        if self.log.is_syslog() && live.log_json {
            return Err(format!(
                "{PREFIX}LOG_FORMAT should be plain if {PREFIX}LOG is syslog"
            ));
        }
        if live.audit_log && self.log_level.is_above_info() {
            return Err(format!(
                "{PREFIX}LOG_LEVEL={} would leave out the audit log: it needs {PREFIX}AUDIT_LOG=off",
                self.log_level.name()
            ));
        }
        if self.follow.is_some() && self.follower_password.is_none() {
            return Err(format!("{PREFIX}FOLLOW needs {PREFIX}FOLLOWER_PASSWORD"));
        }
        self.check_replication()
    }

    /// The settings that may change while the instance runs. A caller that yields asks again.
    pub fn live(&self) -> Guard<Arc<LiveConfig>> {
        self.live.load()
    }

    /// Takes the live settings of another value.
    pub fn take_live(&self, other: &Self) {
        self.live.store(other.live.load_full());
    }

    /// The most bytes of the input of any operation.
    pub fn input_max(&self) -> usize {
        let live = self.live();
        live.kv_input_max.max(live.auth_input_max)
    }

    /// The settings of tokens.
    pub fn tokens(&self) -> authkv_token::Settings {
        let live = self.live();
        authkv_token::Settings {
            issuer: self.token_issuer.clone(),
            audience: self.token_audience.clone(),
            ttl: live.token_ttl,
            leeway: live.token_leeway,
            cache: self.token_cache,
        }
    }

    /// The values that `init.lua` needs, by the names of the settings in lower case. Contains secrets.
    pub fn for_lua(&self) -> Vec<(&'static str, String)> {
        let live = self.live();
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let seconds = |duration: Duration| duration.as_secs().to_string();
        let secret = |secret: &Option<SecretString>| {
            secret
                .as_ref()
                .map(|secret| secret.expose_secret().to_owned())
                .unwrap_or_default()
        };
        vec![
            ("data_dir", path(&self.data_dir)),
            (
                "iproto_listen",
                self.iproto_listen.clone().unwrap_or_default(),
            ),
            (
                "console_listen",
                self.console_listen.as_deref().map(path).unwrap_or_default(),
            ),
            ("auth", self.services.auth.to_string()),
            ("kv", self.services.kv.to_string()),
            ("client_password", secret(&self.client_password)),
            ("follower_password", secret(&self.follower_password)),
            (
                "follow",
                self.follow.as_deref().unwrap_or_default().join(","),
            ),
            ("shutdown_timeout", seconds(live.shutdown_timeout)),
            (
                "rock_listen",
                self.http
                    .rock_listen
                    .as_ref()
                    .map(Listen::to_string)
                    .unwrap_or_default(),
            ),
            ("http_header_max", self.http.header_max.to_string()),
            ("http_header_timeout", seconds(self.http.header_timeout)),
            ("http_body_timeout", seconds(self.http.body_timeout)),
            ("http_idle_timeout", seconds(self.http.idle_timeout)),
            ("http_write_timeout", seconds(self.http.write_timeout)),
            (
                "http_connections_max",
                self.http.connections_max.to_string(),
            ),
            ("http_health", self.http.health.to_string()),
            ("input_max", self.input_max().to_string()),
            ("read_only", self.read_only.to_string()),
            (
                "replication",
                self.replication.clone().unwrap_or_default().join(","),
            ),
            ("replication_password", secret(&self.replication_password)),
            (
                "replication_timeout",
                self.replication_timeout.as_secs_f64().to_string(),
            ),
            ("election_mode", self.election_mode.name().to_owned()),
            ("synchronous", self.synchronous.to_string()),
            (
                "instance_name",
                self.instance_name.clone().unwrap_or_default(),
            ),
            ("advertised", self.advertised().unwrap_or_default()),
            ("log", self.log.text()),
            ("log_level", self.log_level.number().to_string()),
            (
                "log_format",
                if live.log_json { "json" } else { "plain" }.to_owned(),
            ),
            ("memtx_memory", self.memtx_memory.to_string()),
            (
                "wal_mode",
                if self.wal_fsync { "fsync" } else { "write" }.to_owned(),
            ),
            ("wal_dir_rescan_delay", seconds(self.wal_dir_rescan_delay)),
            ("checkpoint_interval", seconds(self.checkpoint_interval)),
            ("checkpoint_count", self.checkpoint_count.to_string()),
            (
                "checkpoint_wal_threshold",
                self.checkpoint_wal_threshold
                    .unwrap_or(NO_THRESHOLD)
                    .to_string(),
            ),
            ("force_recovery", self.force_recovery.to_string()),
            (
                "memtx_max_tuple_size",
                self.memtx_max_tuple_size.to_string(),
            ),
        ]
    }
}

/// How many connections the admin listener takes, and so requests on HTTP/1.1.
pub const ADMIN_CONNECTIONS: usize = 64;

impl HttpConfig {
    /// The settings of the admin listener, with its own limits. `None` if it is off.
    pub fn admin(&self) -> Option<Self> {
        if self.admin_listen.is_empty() {
            return None;
        }
        Some(Self {
            listen: self.admin_listen.clone(),
            workers: 1,
            connections_max: ADMIN_CONNECTIONS,
            connections_per_address: ADMIN_CONNECTIONS,
            requests_max: ADMIN_CONNECTIONS,
            cors: Origins::These(Vec::new()),
            docs: false,
            health: true,
            ..self.clone()
        })
    }

    /// How long a client may take to read an answer of `bytes`.
    pub fn write_time(&self, bytes: usize) -> Duration {
        /// The client gets one more second for each piece of this size.
        const PACE: usize = 64 * 1024;
        self.write_timeout + Duration::from_secs((bytes / PACE) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Result<Config, String> {
        Config::new(
            settings
                .iter()
                .map(|(name, text)| (name.to_string(), text.to_string()))
                .collect(),
        )
    }

    #[test]
    fn defaults_are_valid() {
        let config = config(&[("FOLLOW", "")]).unwrap();
        assert_eq!(
            config.services,
            Services {
                auth: true,
                kv: true
            }
        );
        assert_eq!(config.private_key_file, Path::new("./var/jwt_private.pem"));
        assert_eq!(config.live().limits.batch, 10_000);
    }

    #[test]
    fn an_invalid_setting_is_named_with_what_is_allowed() {
        for (name, text, parts) in [
            ("FOO", "1", ["AUTHKV_FOO is not a setting", "DATA_DIR"]),
            (
                "HTTP_LISTEN",
                "here",
                ["AUTHKV_HTTP_LISTEN", "address:port"],
            ),
            (
                "IPROTO_LISTEN",
                "3301",
                ["AUTHKV_IPROTO_LISTEN", "host:port, or off"],
            ),
            (
                "SERVICES",
                "auth,web",
                ["AUTHKV_SERVICES", "auth, kv or auth,kv"],
            ),
            ("BATCH_MAX", "0", ["AUTHKV_BATCH_MAX", "from 1 to 1000000"]),
            (
                "TOKEN_TTL",
                "-1",
                ["AUTHKV_TOKEN_TTL", "from 1 to 31536000"],
            ),
            ("READ_ONLY", "yes", ["AUTHKV_READ_ONLY", "true or false"]),
            (
                "TOKEN_ALGORITHM",
                "HS256",
                ["AUTHKV_TOKEN_ALGORITHM", "RS256, ES256 or EdDSA"],
            ),
            (
                "FOLLOW",
                "a:1",
                ["AUTHKV_FOLLOW", "AUTHKV_SERVICES=kv only"],
            ),
            ("ARGON2_PARALLELISM", "16", ["AUTHKV_ARGON2_MEMORY", "8 ×"]),
        ] {
            let error = config(&[(name, text), ("ARGON2_MEMORY", "64")]).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{name}: {error}");
            }
        }
    }

    #[test]
    fn every_default_in_the_table_is_accepted_as_given() {
        for (name, default, ..) in SETTINGS
            .iter()
            .filter(|(_, default, ..)| !default.starts_with('<'))
        {
            config(&[(name, default)]).unwrap();
        }
    }

    #[test]
    fn the_settings_that_a_reload_takes_are_those_whose_names_begin_with_http() {
        let named = SETTINGS.iter().map(|(name, ..)| *name);
        let named: Vec<&str> = named.filter(|name| name.starts_with("HTTP_")).collect();
        let read: Vec<&str> = settings::OF_HTTP.iter().map(|(name, _)| *name).collect();
        assert_eq!(read, named);
    }
}
