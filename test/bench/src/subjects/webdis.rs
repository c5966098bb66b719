//! Webdis, which serves Redis over HTTP.

use super::redis::Redis;
use crate::drivers::http::Http;
use crate::process::{command, listens, needs, Process};
use crate::Result;
use authkv_check::port::free_port;
use serde_json::json;
use std::path::Path;
use std::process::Command;

pub struct Webdis {
    port: u16,
    process: Process,
    redis: u32,
}

impl Webdis {
    /// Before a Redis that runs. A unix socket and few connections to Redis were the fastest of what was tried.
    pub fn start(data: &Path, redis: &Redis) -> Result<Self> {
        needs("webdis", "webdis")?;
        let port = free_port()?;
        let threads = std::thread::available_parallelism()?.get().min(4);
        let config = json!({
            "redis_host": redis.socket,
            "redis_port": redis.port,
            "http_host": "127.0.0.1",
            "http_port": port,
            "threads": threads,
            "pool_size": 4,
            "http_max_request_size": 16 << 20,
            "daemonize": false,
            "websockets": false,
            "acl": [],
            "verbosity": 0,
            "logfile": "/dev/null",
        });
        let make = |data: &Path| -> Result<Command> {
            let file = data.join("webdis.json");
            std::fs::write(&file, config.to_string())?;
            let mut command = command("webdis");
            command.arg(file);
            Ok(command)
        };
        Ok(Self {
            port,
            process: Process::start(data, make, |_| listens(port))?,
            redis: redis.process.pid(),
        })
    }

    /// Commands, whose words have slashes between them.
    pub fn request(&self, commands: impl IntoIterator<Item = String>) -> Http {
        Http::new(self.port, "/", commands)
    }

    /// Its own, and that of Redis.
    pub fn pids(&self) -> [u32; 2] {
        [self.process.pid(), self.redis]
    }
}
