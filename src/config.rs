//! The settings of an instance: one table, built into one immutable value, validated whole. Pure.

use crate::domain::{Limits, Password};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// Everything an instance is told at its start.
#[derive(Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub services: Services,
    pub http_listen: Option<SocketAddr>,
    pub iproto_listen: Option<String>,
    pub console_listen: Option<PathBuf>,
    pub admin_password: Option<Password>,
    pub client_password: Option<SecretString>,
    pub follower_password: Option<SecretString>,
    pub follow: Option<String>,
    /// How long the authorization instance may be out of reach before tokens are refused; `None`: for ever.
    pub follow_max_lag: Option<Duration>,
    pub read_only: bool,
    pub memtx_memory: u64,
    pub memtx_max_tuple_size: u64,
    pub private_key_file: PathBuf,
    pub public_key_file: PathBuf,
    pub token_ttl: Duration,
    pub token_leeway: Duration,
    /// Verified tokens that are remembered.
    pub token_cache: usize,
    pub limits: Limits,
    /// Containers inside one another in a value.
    pub json_depth_max: usize,
    pub http_workers: usize,
    pub http_kv_body_max: usize,
    pub http_auth_body_max: usize,
    pub http_header_timeout: Duration,
    /// Requests between the HTTP workers and the tx thread.
    pub queue: usize,
    pub crypto_threads: usize,
    pub crypto_queue: usize,
    pub argon2: Argon2Cost,
    pub shutdown_timeout: Duration,
}

/// What can be set: name, default, what it means. A default in angle brackets depends on others.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "DATA_DIR",
        "./var",
        "directory of snapshots, logs of writes, and keys",
    ),
    (
        "LAYOUT",
        "single",
        "defaults to start from: single, authorization_tarantool or key_value_tarantool",
    ),
    (
        "SERVICES",
        "auth,kv",
        "what this instance offers: auth, kv or auth,kv",
    ),
    ("HTTP_LISTEN", "127.0.0.1:8080", "address of HTTP, or off"),
    (
        "IPROTO_LISTEN",
        "127.0.0.1:3301",
        "address of iproto, or off",
    ),
    (
        "CONSOLE_LISTEN",
        "<data dir>/console.sock",
        "unix socket of the console, or off",
    ),
    (
        "ADMIN_PASSWORD",
        "<random, shown once>",
        "password of the user admin, used when there is no such user",
    ),
    (
        "CLIENT_PASSWORD",
        "<none>",
        "makes the Tarantool user authkv with the role authkv_client",
    ),
    (
        "FOLLOWER_PASSWORD",
        "<none>",
        "password of the Tarantool user authkv_follower, on both sides of a split",
    ),
    (
        "FOLLOW",
        "<none>",
        "iproto address of the authorization instance; only where SERVICES is kv",
    ),
    (
        "FOLLOW_MAX_LAG",
        "5",
        "seconds without that instance after which tokens are refused, or unlimited",
    ),
    ("READ_ONLY", "false", "true or false"),
    ("MEMTX_MEMORY", "268435456", "bytes for tuples and indexes"),
    (
        "MEMTX_MAX_TUPLE_SIZE",
        "1048576",
        "bytes of a key with its value",
    ),
    (
        "PRIVATE_KEY_FILE",
        "<data dir>/jwt_private.pem",
        "RSA key (PKCS #8 PEM) that signs tokens; made when missing",
    ),
    (
        "PUBLIC_KEY_FILE",
        "<data dir>/jwt_public.pem",
        "its public half; written with auth, read without",
    ),
    ("TOKEN_TTL", "1800", "seconds a token lives"),
    ("TOKEN_LEEWAY", "30", "seconds that clocks may differ"),
    (
        "TOKEN_CACHE",
        "10000",
        "verified tokens that are remembered",
    ),
    ("BATCH_MAX", "10000", "keys or pairs in a batch"),
    ("KEY_MAX", "1024", "bytes in a key"),
    (
        "JSON_DEPTH_MAX",
        "64",
        "arrays and objects inside one another in a value",
    ),
    (
        "HTTP_WORKERS",
        "<cores, at most 4>",
        "threads that serve HTTP",
    ),
    (
        "HTTP_KV_BODY_MAX",
        "8388608",
        "bytes in the body of a read or write",
    ),
    ("HTTP_AUTH_BODY_MAX", "16384", "bytes in any other body"),
    (
        "HTTP_HEADER_TIMEOUT",
        "10",
        "seconds to send the header of a request",
    ),
    (
        "QUEUE",
        "8192",
        "requests between the HTTP workers and the tx thread",
    ),
    (
        "CRYPTO_THREADS",
        "<cores, at most 4>",
        "threads that hash passwords and sign tokens",
    ),
    (
        "CRYPTO_QUEUE",
        "64",
        "hashes that may wait for such a thread",
    ),
    ("ARGON2_MEMORY", "19456", "KiB of memory of Argon2id"),
    ("ARGON2_ITERATIONS", "2", "passes of Argon2id"),
    ("ARGON2_PARALLELISM", "1", "lanes of Argon2id"),
    ("SHUTDOWN_TIMEOUT", "10", "seconds to finish what runs"),
];

/// The environment variables of all settings begin with this.
pub const PREFIX: &str = "AUTHKV_";

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
        let data_dir = PathBuf::from(read.text("DATA_DIR"));
        let cores = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(4);
        read.layout()?;
        let config = Self {
            services: read.services()?,
            http_listen: read.unless_off(
                "HTTP_LISTEN",
                |text| text.parse().ok(),
                "an IP address with a port, or off",
            )?,
            iproto_listen: read.unless_off("IPROTO_LISTEN", host_and_port, "host:port, or off")?,
            console_listen: match read.given("CONSOLE_LISTEN") {
                Some("off") => None,
                path => Some(path.map_or_else(|| data_dir.join("console.sock"), PathBuf::from)),
            },
            admin_password: read
                .secret("ADMIN_PASSWORD")
                .map(|secret| {
                    Password::new(secret).map_err(|e| format!("{PREFIX}ADMIN_PASSWORD: {e}"))
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
            read_only: match read.text("READ_ONLY") {
                "true" => true,
                "false" => false,
                other => return Err(invalid("READ_ONLY", other, "true or false")),
            },
            memtx_memory: read.number("MEMTX_MEMORY", 33_554_432, 1 << 46)?,
            memtx_max_tuple_size: read.number("MEMTX_MAX_TUPLE_SIZE", 16_384, 1 << 30)?,
            private_key_file: read.file("PRIVATE_KEY_FILE", &data_dir, "jwt_private.pem"),
            public_key_file: read.file("PUBLIC_KEY_FILE", &data_dir, "jwt_public.pem"),
            token_ttl: read.seconds("TOKEN_TTL", 1, 31_536_000)?,
            token_leeway: read.seconds("TOKEN_LEEWAY", 0, 300)?,
            token_cache: read.size("TOKEN_CACHE", 1, 10_000_000)?,
            limits: Limits {
                batch: read.size("BATCH_MAX", 1, 1_000_000)?,
                key: read.size("KEY_MAX", 1, 65_535)?,
            },
            json_depth_max: read.size("JSON_DEPTH_MAX", 1, 1024)?,
            http_workers: read.size_or("HTTP_WORKERS", cores, 1, 256)?,
            http_kv_body_max: read.size("HTTP_KV_BODY_MAX", 1024, 1 << 30)?,
            http_auth_body_max: read.size("HTTP_AUTH_BODY_MAX", 1024, 1 << 24)?,
            http_header_timeout: read.seconds("HTTP_HEADER_TIMEOUT", 1, 3600)?,
            queue: read.size("QUEUE", 1, 1_000_000)?,
            crypto_threads: read.size_or("CRYPTO_THREADS", cores, 1, 256)?,
            crypto_queue: read.size("CRYPTO_QUEUE", 1, 4096)?,
            argon2: Argon2Cost {
                memory: read.number("ARGON2_MEMORY", 8, 4_194_304)? as u32,
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
        if self.follow.is_some() && self.services.auth {
            return Err(format!("{PREFIX}FOLLOW goes with {PREFIX}SERVICES=kv only"));
        }
        if self.follow.is_some() && self.follower_password.is_none() {
            return Err(format!("{PREFIX}FOLLOW needs {PREFIX}FOLLOWER_PASSWORD"));
        }
        Ok(())
    }
}

/// The default of a setting, or `None` where there is no such setting.
fn default(name: &str) -> Option<&'static str> {
    SETTINGS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, default, _)| *default)
}

/// Settings as text, with their defaults.
struct Settings(BTreeMap<String, String>);

impl Settings {
    /// An empty value counts as none given, as in a compose file.
    fn given(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    fn text(&self, name: &str) -> &str {
        self.given(name).or(default(name)).unwrap_or_default()
    }

    fn secret(&self, name: &str) -> Option<SecretString> {
        self.given(name).map(SecretString::from)
    }

    fn file(&self, name: &str, directory: &Path, file: &str) -> PathBuf {
        self.given(name)
            .map_or_else(|| directory.join(file), PathBuf::from)
    }

    fn number(&self, name: &str, min: u64, max: u64) -> Result<u64, String> {
        let text = self.text(name);
        let number = text
            .parse()
            .ok()
            .filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| invalid(name, text, &format!("a whole number from {min} to {max}")))
    }

    fn size(&self, name: &str, min: usize, max: usize) -> Result<usize, String> {
        self.number(name, min as u64, max as u64)
            .map(|number| number as usize)
    }

    fn size_or(&self, name: &str, default: usize, min: usize, max: usize) -> Result<usize, String> {
        self.given(name)
            .map_or(Ok(default), |_| self.size(name, min, max))
    }

    fn seconds(&self, name: &str, min: u64, max: u64) -> Result<Duration, String> {
        self.number(name, min, max).map(Duration::from_secs)
    }

    fn unless_off<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        allowed: &str,
    ) -> Result<Option<T>, String> {
        match self.text(name) {
            "off" => Ok(None),
            text => parse(text)
                .map(Some)
                .ok_or_else(|| invalid(name, text, allowed)),
        }
    }

    /// The layout itself is in Lua, and has become settings by now.
    fn layout(&self) -> Result<(), String> {
        const LAYOUTS: [&str; 3] = ["single", "authorization_tarantool", "key_value_tarantool"];
        match self.text("LAYOUT") {
            known if LAYOUTS.contains(&known) => Ok(()),
            other => Err(invalid("LAYOUT", other, &LAYOUTS.join(", "))),
        }
    }

    fn services(&self) -> Result<Services, String> {
        let text = self.text("SERVICES");
        let mut services = Services {
            auth: false,
            kv: false,
        };
        for name in text.split(',').map(str::trim) {
            match name {
                "auth" => services.auth = true,
                "kv" => services.kv = true,
                _ => return Err(invalid("SERVICES", text, "auth, kv or auth,kv")),
            }
        }
        Ok(services)
    }
}

fn invalid(name: &str, text: &str, allowed: &str) -> String {
    format!("{PREFIX}{name} is {text:?}, but should be {allowed}")
}

fn host_and_port(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (!host.is_empty() && port > 0).then(|| text.to_owned())
}

impl Config {
    /// What `init.lua` needs to know, by the names of the settings in lower case. Holds secrets.
    pub fn for_lua(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
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
            ("read_only", self.read_only.to_string()),
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
                ["AUTHKV_HTTP_LISTEN", "an IP address with a port, or off"],
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
