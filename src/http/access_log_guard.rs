//! What a request leaves in the log, once its answer is whole: then it is known how much was sent, for how long, and what
//! has ended it.

use super::access_log::Entry;
use super::shared::Shared;
use authkv_base::error::Error;
use authkv_base::origin::Peer;
use authkv_config::AccessLog;
use hyper::Method;
use std::sync::Arc;
use std::time::Instant;

/// It writes its line, where the settings want one, when it is dropped.
pub struct AccessLogGuard {
    pub shared: Arc<Shared>,
    pub request_id: String,
    pub remote: Peer,
    pub method: Method,
    /// As a route has it, or `-`.
    pub path: &'static str,
    pub status: u16,
    /// The name of the failure.
    pub error: Option<&'static str>,
    /// The failure is one of the server, whatever the status was.
    pub failed: bool,
    pub login: Option<String>,
    pub bytes_in: usize,
    pub bytes_out: usize,
    pub started: Instant,
}

impl AccessLogGuard {
    /// Whether there may be a line for an answer of this status.
    pub fn is_wanted(shared: &Shared, status: u16) -> bool {
        match shared.config.access_log {
            AccessLog::Off => false,
            AccessLog::Errors => status >= 500,
            AccessLog::All => true,
        }
    }

    /// Notes what has ended the answer before its end. That the server leaves is no failure of it.
    pub fn note(&mut self, error: &Error) {
        let row = error.row();
        self.error = Some(row.name);
        self.failed = row.v1_status >= 500 && *error != Error::ShuttingDown;
    }
}

impl Drop for AccessLogGuard {
    fn drop(&mut self) {
        let status = if self.failed { 500 } else { self.status };
        if !Self::is_wanted(&self.shared, status) {
            return;
        }
        let entry = Entry {
            request_id: &self.request_id,
            remote: &self.remote,
            method: known(&self.method),
            path: self.path,
            status: self.status,
            error: self.error,
            login: self.login.as_deref(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            microseconds: self.started.elapsed().as_micros(),
        };
        let line = entry.line(self.shared.settings.log_json);
        self.shared.bridge.log_request(line);
    }
}

/// The name of a standard method; another could be anything.
fn known(method: &Method) -> &str {
    match method.as_str() {
        name @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => name,
        _ => "-",
    }
}
