//! Redis.

use crate::process::{command, listens, needs, Process};
use crate::Result;
use authkv_check::port::free_port;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Redis {
    pub port: u16,
    /// A unix socket.
    pub socket: PathBuf,
    pub process: Process,
}

impl Redis {
    /// `log`: whether it keeps a log of writes, written out each second. It never makes a snapshot.
    pub fn start(data: &Path, log: bool) -> Result<Self> {
        needs("redis-server", "redis-server")?;
        let port = free_port()?;
        let mut socket = PathBuf::new();
        let make = |data: &Path| -> Result<Command> {
            socket = data.join("redis.sock");
            let mut command = command("redis-server");
            command
                .current_dir(data)
                .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
                .arg("--unixsocket")
                .arg(&socket)
                .args(["--save", "", "--appendfsync", "everysec"])
                .args(["--auto-aof-rewrite-percentage", "0"])
                .args(["--appendonly", if log { "yes" } else { "no" }]);
            Ok(command)
        };
        let process = Process::start(data, make, |_| listens(port))?;
        Ok(Self {
            port,
            socket,
            process,
        })
    }
}
