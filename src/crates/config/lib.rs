//! The settings of an instance: one table, built into one immutable value, validated whole. Pure.

#![forbid(unsafe_code)]

mod http;
mod origins;
mod settings;

pub use http::{AccessLog, HttpConfig, Listen, TlsFiles};
pub use origins::Origins;
pub use settings::SETTINGS;

use authkv_domain::{Class, Limits, Password, PasswordRules};
use authkv_token::key::Algorithm;
use authkv_token::LEEWAY_MAX;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use settings::{default, host_and_port, invalid, Settings, PREFIX};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of the path of a unix socket: the size of `sun_path` (unix(7)), less its final zero.
const SOCKET_PATH_MAX: usize = 107;
/// Seconds: the longest that a setting allows. `schema.lua` knows the first, too.
const TOKEN_TTL_MAX: u64 = 31_536_000;

/// Which of the two services an instance offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Services {
    pub auth: bool,
    pub kv: bool,
}

/// The cost of Argon2id (RFC 9106 §3.1).
#[derive(Debug, Clone, Copy)]
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
    /// Seconds; 0 for no delay at all.
    pub max: u64,
    /// Networks whose addresses say nothing about who is there.
    pub exempt: Vec<IpNet>,
}

/// Everything an instance is told at its start.
#[derive(Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub services: Services,
    pub http: Arc<HttpConfig>,
    pub iproto_listen: Option<String>,
    pub console_listen: Option<PathBuf>,
    pub admin_password: Option<Password>,
    pub client_password: Option<SecretString>,
    pub follower_password: Option<SecretString>,
    pub follow: Option<String>,
    /// How long the authorization instance may be out of reach before tokens are refused; `None`: for ever.
    pub follow_max_lag: Option<Duration>,
    pub read_only: bool,
    /// The log is JSON, a line an object.
    pub log_json: bool,
    pub memtx_memory: u64,
    pub memtx_max_tuple_size: u64,
    /// Bytes that pairs cannot have; 0 where nothing is reserved.
    pub memtx_reserve: u64,
    pub private_key_file: PathBuf,
    /// It was named by a setting, so it must exist.
    pub private_key_given: bool,
    pub public_key_file: PathBuf,
    /// It was named by a setting, so a file that is there must be right.
    pub public_key_given: bool,
    /// Of keys that are made.
    pub token_algorithm: Algorithm,
    pub token_issuer: String,
    pub token_audience: String,
    /// From the publication of a key to its first signature.
    pub key_publish: Duration,
    pub token_ttl: Duration,
    pub token_leeway: Duration,
    /// Verified tokens that are remembered.
    pub token_cache: usize,
    pub refresh_ttl: Duration,
    /// Of one user.
    pub sessions_max: usize,
    /// Anyone may add a user.
    pub registration_open: bool,
    /// Every user has the role `default`.
    pub default_role: bool,
    pub password_rules: PasswordRules,
    pub login_delay: LoginDelay,
    pub audit_log: bool,
    pub limits: Limits,
    /// Containers inside one another in a value.
    pub json_depth_max: usize,
    pub kv_input_max: usize,
    pub auth_input_max: usize,
    /// Bytes of msgpack that one read may return.
    pub reply_max: usize,
    /// Requests between the HTTP workers and the tx thread.
    pub queue: usize,
    /// Watches over HTTP at a time.
    pub watch_max: usize,
    /// Bytes of changes that are kept for watches.
    pub watch_buffer: usize,
    pub crypto_threads: usize,
    pub crypto_queue: usize,
    pub argon2: Argon2Cost,
    pub shutdown_timeout: Duration,
}

impl Config {
    /// Builds the configuration from settings by name, without the prefix. Settings that are not given take
    /// their defaults. The error names the variable and what is allowed.
    pub fn new(given: BTreeMap<String, String>) -> Result<Self, String> {
        if let Some(unknown) = given.keys().find(|name| default(name).is_none()) {
            let known: Vec<&str> = SETTINGS.iter().map(|(name, ..)| *name).collect();
            return Err(format!(
                "{PREFIX}{unknown} is not a setting; there are: {PREFIX}{{{}}}",
                known.join(", ")
            ));
        }
        let read = Settings(given);
        read.check_texts()?;
        let data_dir = PathBuf::from(read.text("DATA_DIR"));
        let cores = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(4);
        read.layout()?;
        let password_rules = PasswordRules {
            min: read.size("PASSWORD_MIN", 1, 1024)?,
            max: read.size("PASSWORD_MAX", 1, 1024)?,
            classes: read.list_of(
                "PASSWORD_CLASSES",
                Class::by_name,
                "lower, upper, digit and special with commas between them, or none",
            )?,
        };
        let memtx_memory = read.number("MEMTX_MEMORY", 33_554_432, 1 << 46)?;
        let config = Self {
            services: read.services()?,
            http: Arc::new(HttpConfig::new(&read, cores)?),
            iproto_listen: read.unless_off("IPROTO_LISTEN", host_and_port, "host:port, or off")?,
            console_listen: match read.given("CONSOLE_LISTEN") {
                Some("off") => None,
                path => Some(path.map_or_else(|| data_dir.join("console.sock"), PathBuf::from)),
            },
            admin_password: read
                .secret("ADMIN_PASSWORD")
                .map(|secret| {
                    Password::new(secret, &password_rules)
                        .map_err(|e| format!("{PREFIX}ADMIN_PASSWORD: {e}"))
                })
                .transpose()?,
            client_password: read.secret("CLIENT_PASSWORD"),
            follower_password: read.secret("FOLLOWER_PASSWORD"),
            follow: read
                .given("FOLLOW")
                .map(|text| host_and_port(text).ok_or_else(|| invalid("FOLLOW", text, "host:port")))
                .transpose()?,
            follow_max_lag: match read.text("FOLLOW_MAX_LAG") {
                "unlimited" => None,
                _ => Some(
                    read.seconds("FOLLOW_MAX_LAG", 1, 86_400)
                        .map_err(|what| format!("{what}, or unlimited"))?,
                ),
            },
            read_only: read.word("READ_ONLY", "true", "false")?,
            log_json: read.word("LOG_FORMAT", "json", "plain")?,
            memtx_memory,
            memtx_reserve: match read.given("MEMTX_RESERVE") {
                Some(_) => read.number("MEMTX_RESERVE", 0, memtx_memory / 2)?,
                None => (memtx_memory / 32).clamp(6 << 20, 64 << 20),
            },
            memtx_max_tuple_size: read.number("MEMTX_MAX_TUPLE_SIZE", 16_384, 1 << 30)?,
            private_key_given: read.given("PRIVATE_KEY_FILE").is_some(),
            public_key_given: read.given("PUBLIC_KEY_FILE").is_some(),
            private_key_file: read.file("PRIVATE_KEY_FILE", &data_dir, "jwt_private.pem"),
            public_key_file: read.file("PUBLIC_KEY_FILE", &data_dir, "jwt_public.pem"),
            token_algorithm: Algorithm::from_name(read.text("TOKEN_ALGORITHM")).ok_or_else(
                || {
                    let text = read.text("TOKEN_ALGORITHM");
                    invalid("TOKEN_ALGORITHM", text, "RS256, ES256 or EdDSA")
                },
            )?,
            token_issuer: read.text("TOKEN_ISSUER").to_owned(),
            token_audience: read.text("TOKEN_AUDIENCE").to_owned(),
            key_publish: read.seconds("KEY_PUBLISH", 0, 86_400)?,
            token_ttl: read.seconds("TOKEN_TTL", 1, TOKEN_TTL_MAX)?,
            token_leeway: read.seconds("TOKEN_LEEWAY", 0, LEEWAY_MAX)?,
            token_cache: read.size("TOKEN_CACHE", 1, 10_000_000)?,
            refresh_ttl: read.seconds("REFRESH_TTL", 1, 315_360_000)?,
            sessions_max: read.size("SESSIONS_MAX", 1, 10_000)?,
            registration_open: read.word("REGISTRATION", "open", "admin")?,
            default_role: read.word("DEFAULT_ROLE", "on", "off")?,
            password_rules,
            login_delay: LoginDelay {
                failures: read.number("LOGIN_FAILURES", 1, 1000)?,
                max: read.number("LOGIN_DELAY_MAX", 0, 86_400)?,
                exempt: read.list_of(
                    "LOGIN_DELAY_EXEMPT",
                    |text| text.parse().ok(),
                    "networks like 10.0.0.0/8 or fd00::/8 with commas between them, or none",
                )?,
            },
            audit_log: read.word("AUDIT_LOG", "on", "off")?,
            limits: Limits {
                batch: read.size("BATCH_MAX", 1, 1_000_000)?,
                key: read.size("KEY_MAX", 1, 65_535)?,
            },
            json_depth_max: read.size("JSON_DEPTH_MAX", 1, 256)?,
            kv_input_max: read.size("KV_INPUT_MAX", 1024, 1 << 28)?,
            auth_input_max: read.size("AUTH_INPUT_MAX", 1024, 1 << 24)?,
            reply_max: read.size("REPLY_MAX", 1024, 1 << 30)?,
            queue: read.size("QUEUE", 1, 100_000)?,
            watch_max: read.size("WATCH_MAX", 1, 1_000_000)?,
            watch_buffer: read.size("WATCH_BUFFER", 65_536, 1 << 32)?,
            crypto_threads: read.size_or("CRYPTO_THREADS", cores, 1, 64)?,
            crypto_queue: read.size("CRYPTO_QUEUE", 1, 1024)?,
            argon2: Argon2Cost {
                memory: read.number("ARGON2_MEMORY", 8, 1_048_576)? as u32,
                iterations: read.number("ARGON2_ITERATIONS", 1, 1000)? as u32,
                parallelism: read.number("ARGON2_PARALLELISM", 1, 16)? as u32,
            },
            shutdown_timeout: read.seconds("SHUTDOWN_TIMEOUT", 1, 3600)?,
            data_dir,
        };
        config.check_together()?;
        Ok(config)
    }

    /// Rules that hold between settings.
    fn check_together(&self) -> Result<(), String> {
        if self.argon2.memory < 8 * self.argon2.parallelism {
            return Err(format!(
                "{PREFIX}ARGON2_MEMORY should be at least 8 × {PREFIX}ARGON2_PARALLELISM"
            ));
        }
        if self.password_rules.min > self.password_rules.max {
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
        let socket = self.console_listen.as_deref();
        if socket.is_some_and(|path| path.as_os_str().len() > SOCKET_PATH_MAX) {
            return Err(format!(
                "{PREFIX}CONSOLE_LISTEN should be a path of at most {SOCKET_PATH_MAX} bytes, or off"
            ));
        }
        if self.follow.is_some() && self.follower_password.is_none() {
            return Err(format!("{PREFIX}FOLLOW needs {PREFIX}FOLLOWER_PASSWORD"));
        }
        Ok(())
    }
}

impl Config {
    /// Bytes that the largest input of any operation may have.
    pub fn input_max(&self) -> usize {
        self.kv_input_max.max(self.auth_input_max)
    }

    /// What tokens say, and how long they hold.
    pub fn tokens(&self) -> authkv_token::Settings {
        authkv_token::Settings {
            issuer: self.token_issuer.clone(),
            audience: self.token_audience.clone(),
            ttl: self.token_ttl,
            leeway: self.token_leeway,
            cache: self.token_cache,
        }
    }

    /// What `init.lua` needs to know, by the names of the settings in lower case. Holds secrets.
    pub fn for_lua(&self) -> Vec<(&'static str, String)> {
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
            ("follow", self.follow.clone().unwrap_or_default()),
            ("shutdown_timeout", seconds(self.shutdown_timeout)),
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
            ("input_max", self.input_max().to_string()),
            ("read_only", self.read_only.to_string()),
            (
                "log_format",
                if self.log_json { "json" } else { "plain" }.to_owned(),
            ),
            ("memtx_memory", self.memtx_memory.to_string()),
            (
                "memtx_max_tuple_size",
                self.memtx_max_tuple_size.to_string(),
            ),
        ]
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
        assert_eq!(config.limits.batch, 10_000);
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
        for (name, default, _) in SETTINGS
            .iter()
            .filter(|(_, default, _)| !default.starts_with('<'))
        {
            config(&[(name, default)]).unwrap();
        }
    }
}
