//! authkv of a checkout, with its default settings.

use crate::drivers::http::Http;
use crate::drivers::iproto::User;
use crate::process::{command, needs, Process};
use crate::Result;
use authkv_check::port::free_port;
use serde_json::{json, Value};
use std::path::Path;
use std::process::Command;

pub const PASSWORD: &str = "Bench-Passw0rd";
/// Of the Tarantool user for clients.
pub const CLIENT: User = User {
    name: "authkv",
    password: "bench-client",
};

pub struct Authkv {
    pub http: u16,
    pub iproto: u16,
    pub process: Process,
}

impl Authkv {
    /// With ports of its own. All connections come from one address here, as they do from behind a proxy.
    pub fn start(data: &Path, checkout: &Path) -> Result<Self> {
        needs("tarantool", "tarantool")?;
        let (http, iproto) = (free_port()?, free_port()?);
        let make = |data: &Path| -> Result<Command> {
            let mut command = command("tarantool");
            for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AUTHKV_")) {
                command.env_remove(name);
            }
            command
                .arg("init.lua")
                .current_dir(checkout)
                .env("AUTHKV_DATA_DIR", data)
                .env("AUTHKV_HTTP_LISTEN", format!("127.0.0.1:{http}"))
                .env("AUTHKV_IPROTO_LISTEN", format!("127.0.0.1:{iproto}"))
                .env("AUTHKV_HTTP_CONNECTIONS_PER_ADDRESS", "unlimited")
                .env("AUTHKV_ADMIN_PASSWORD", PASSWORD)
                .env("AUTHKV_CLIENT_PASSWORD", CLIENT.password);
            Ok(command)
        };
        let ready = |said: &str| said.lines().any(|line| line == "authkv: ready");
        Ok(Self {
            http,
            iproto,
            process: Process::start(data, make, ready)?,
        })
    }

    /// A new token of the user `admin`.
    pub fn token(&self) -> Result<String> {
        let answer: Value = serde_json::from_slice(&self.login().exchange()?)?;
        Ok(answer["token"].as_str().ok_or("no token")?.to_owned())
    }

    /// The request that logs in.
    pub fn login(&self) -> Http {
        let body = json!({ "login": "admin", "password": PASSWORD });
        Http::new(self.http, "/api/login/", [body.to_string()])
    }

    /// A request with a token.
    pub fn request(&self, path: &str, bodies: impl IntoIterator<Item = String>) -> Result<Http> {
        Ok(Http::new(self.http, path, bodies).with_token(self.token()?))
    }
}
