//! The servers: processes of their own, ended when dropped.

use crate::Result;
use serde_json::{json, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const PASSWORD: &str = "Bench-Passw0rd";

/// A process that serves HTTP on a port.
pub struct Server {
    pub port: u16,
    process: Child,
    _data: Option<TempDir>,
}

/// One request.
#[derive(Clone)]
pub struct Work {
    pub path: &'static str,
    pub token: Option<String>,
    pub body: String,
}

impl Server {
    /// authkv with its default settings, data of its own, and free ports.
    pub fn authkv() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let data = TempDir::new()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut process = Command::new("tarantool")
            .arg("init.lua")
            .current_dir(root)
            .env("AUTHKV_DATA_DIR", data.path())
            .env("AUTHKV_HTTP_LISTEN", format!("127.0.0.1:{port}"))
            .env("AUTHKV_IPROTO_LISTEN", "off")
            .env("AUTHKV_ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let ready = BufReader::new(output)
            .lines()
            .map_while(|line| line.ok())
            .any(|line| line == "authkv: ready");
        match ready {
            true => Ok(Self {
                port,
                process,
                _data: Some(data),
            }),
            false => Err("authkv did not start".into()),
        }
    }

    /// Bare hyper: this program again, see [`crate::floor`].
    pub fn floor(bytes: usize, workers: usize) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["floor", &bytes.to_string(), &workers.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut port = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut port)?;
        Ok(Self {
            port: port.trim().parse()?,
            process,
            _data: None,
        })
    }

    /// A token of the user `admin`.
    pub fn token(&self) -> Result<String> {
        let body = json!({ "login": "admin", "password": PASSWORD }).to_string();
        let answer: Value = serde_json::from_str(&self.body_of(&Work {
            path: "/api/login/",
            token: None,
            body,
        })?)?;
        Ok(answer["token"].as_str().ok_or("no token")?.to_owned())
    }

    /// The body of the answer to one request, which has to succeed.
    pub fn body_of(&self, work: &Work) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let token = work.token.as_deref().unwrap_or("-");
        write!(
            stream,
            "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\n\r\n{}",
            work.path,
            work.body.len(),
            work.body
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        match head.starts_with("HTTP/1.1 20") {
            true => Ok(body.to_owned()),
            false => Err(answer.into()),
        }
    }

    /// CPU time the process has used so far, in µs: fields 14 and 15 of `/proc/PID/stat` (proc(5)).
    pub fn cpu(&self) -> Result<f64> {
        /// `sysconf(_SC_CLK_TCK)` on Linux.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("an odd stat file")?;
        let ticks = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<f64>);
        Ok(ticks.sum::<std::result::Result<f64, _>>()? / TICKS_PER_SECOND * 1e6)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
