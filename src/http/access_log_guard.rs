//! The access-log guard of a request. It writes the line once the answer is complete: then it is known how much was sent,
//! how long it took, and why the answer ended.

use super::access_log::Entry;
use super::metrics::Answered;
use super::shared::{Shared, Streaming};
use authkv_base::error::Error;
use authkv_base::origin::Peer;
use authkv_base::ticks::Instant;
use authkv_config::AccessLog;
use authkv_wire::trace::TraceParent;
use hyper::Method;
use std::sync::Arc;

/// Writes its line when it is dropped, if the settings want one, and counts an answer in pieces.
pub struct AccessLogGuard {
    pub shared: Arc<Shared>,
    pub request_id: String,
    pub remote: Peer,
    pub method: Method,
    /// The path of the route, or `-`.
    pub path: &'static str,
    pub status: u16,
    /// The name of the error.
    pub error: Option<&'static str>,
    /// The server failed, whatever status it sent.
    pub failed: bool,
    /// The leader has executed the request.
    pub forwarded: bool,
    pub login: Option<String>,
    pub bytes_in: usize,
    pub bytes_out: usize,
    pub started: Instant,
    /// Of an answer in pieces, whose end is counted then.
    pub place: Option<usize>,
    pub streaming: Option<Streaming>,
    /// The trace that the request belongs to.
    pub trace: Option<TraceParent>,
}

impl AccessLogGuard {
    /// Whether the settings want a line for an answer of this status.
    pub fn is_wanted(shared: &Shared, status: u16) -> bool {
        match shared.config.access_log {
            AccessLog::Off => false,
            AccessLog::Errors => status >= 500,
            AccessLog::All => true,
        }
    }

    /// Notes the error that ended the answer early. A shutdown is no failure of the server.
    pub fn note(&mut self, error: &Error) {
        let row = error.row();
        self.error = Some(row.name);
        self.failed = row.v1_status >= 500 && !error.is(&Error::ShuttingDown);
    }
}

impl Drop for AccessLogGuard {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            Answered {
                place,
                method: &self.method,
                status: self.status,
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                time: self.started.elapsed(),
            }
            .count();
        }
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
            forwarded: self.forwarded,
            login: self.login.as_deref(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            microseconds: self.started.elapsed().as_micros(),
            trace_id: self.trace.as_ref().map(TraceParent::trace),
            parent_id: self.trace.as_ref().map(TraceParent::parent),
        };
        let line = entry.line(self.shared.settings.live().log_json);
        self.shared.bridge.log_request(line);
    }
}

/// The name of a standard method, otherwise `-`: a client may send anything.
fn known(method: &Method) -> &str {
    match method.as_str() {
        name @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => name,
        _ => "-",
    }
}
