//! etcd, by its gateway of HTTP and JSON.

use crate::drivers::http::Http;
use crate::process::{command, needs, Process};
use crate::Result;
use authkv_check::port::free_port;
use base64::engine::{general_purpose::STANDARD, Engine};
use serde_json::{json, Value};
use std::path::Path;
use std::process::Command;

pub struct Etcd {
    port: u16,
    pub process: Process,
}

impl Etcd {
    /// A cluster of one. It syncs its log, once for all writes that wait; Debian's 3.4 has no setting against that.
    pub fn start(data: &Path) -> Result<Self> {
        needs("etcd", "etcd-server")?;
        let (port, peers) = (free_port()?, free_port()?);
        let make = |data: &Path| -> Result<Command> {
            let clients = format!("http://127.0.0.1:{port}");
            let peers = format!("http://127.0.0.1:{peers}");
            let mut command = command("etcd");
            command
                .arg("--data-dir")
                .arg(data.join("etcd"))
                .args(["--listen-client-urls", &clients])
                .args(["--advertise-client-urls", &clients])
                .args(["--listen-peer-urls", &peers])
                .args(["--initial-advertise-peer-urls", &peers])
                .args(["--initial-cluster", &format!("default={peers}")])
                .args(["--quota-backend-bytes", "8589934592"])
                .args(["--logger", "zap", "--log-level", "error"]);
            Ok(command)
        };
        // It may listen before it has a leader.
        let ready = |_: &str| {
            transactions(port, [json!([range("any")])])
                .exchange()
                .is_ok()
        };
        Ok(Self {
            port,
            process: Process::start(data, make, ready)?,
        })
    }

    /// A transaction for each list of operations.
    pub fn request(&self, lists: impl IntoIterator<Item = Value>) -> Http {
        transactions(self.port, lists)
    }
}

/// An operation: the value of a key.
pub fn range(key: &str) -> Value {
    json!({ "request_range": { "key": encode(key) } })
}

pub fn put(key: &str, value: &str) -> Value {
    json!({ "request_put": { "key": encode(key), "value": encode(value) } })
}

/// As the gateway has keys and values.
pub fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

fn transactions(port: u16, lists: impl IntoIterator<Item = Value>) -> Http {
    let bodies = lists
        .into_iter()
        .map(|operations| json!({ "success": operations }).to_string());
    Http::new(port, "/v3/kv/txn", bodies)
}
