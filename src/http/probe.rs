//! The answers of `/livez` and `/readyz`, in the form of Kubernetes' own servers (see "Kubernetes API health endpoints" in its
//! reference). Pure.

use super::response::Response;
use crate::health::{Check, Health};
use authkv_wire::percent;
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    Live,
    Ready,
}

impl Probe {
    /// The probe of this path.
    pub fn find(path: &str) -> Option<Self> {
        [Self::Live, Self::Ready]
            .into_iter()
            .find(|probe| probe.path() == path)
    }

    pub fn path(self) -> &'static str {
        match self {
            Probe::Live => "/livez",
            Probe::Ready => "/readyz",
        }
    }

    pub fn checks(self, health: &Health) -> Vec<Check> {
        match self {
            Probe::Live => health.live(),
            Probe::Ready => health.ready(),
        }
    }
}

/// The answer: 200 if all checks pass that the query does not exclude, otherwise 503 with all checks. With `verbose` in the query
/// 200 has all checks, too. Only with `tells_why` the answer has the reasons.
pub fn response(probe: Probe, checks: &[Check], query: &[u8], tells_why: bool) -> Response {
    let query = Query::read(query);
    let name = probe.path().trim_start_matches('/');
    let mut text = String::new();
    let mut passes = true;
    for check in checks {
        // Writing to a string cannot fail.
        let _ = match &check.failed {
            _ if query.excluded.iter().any(|one| one == check.name) => {
                writeln!(text, "[+]{} excluded: ok", check.name)
            }
            None => writeln!(text, "[+]{} ok", check.name),
            Some(reason) => {
                passes = false;
                let reason = if tells_why { reason } else { "reason withheld" };
                writeln!(text, "[-]{} failed: {reason}", check.name)
            }
        };
    }
    let is_unknown = |one: &&String| checks.iter().all(|check| check.name != **one);
    let unknown: Vec<_> = query.excluded.iter().filter(is_unknown).collect();
    if !unknown.is_empty() {
        let quoted: Vec<_> = unknown.iter().map(|one| format!("{one:?}")).collect();
        let quoted = quoted.join(",");
        let _ = writeln!(
            text,
            "warn: some health checks cannot be excluded: no matches for {quoted}"
        );
    }
    let (status, end) = match passes {
        true => (200, "passed"),
        false => (503, "failed"),
    };
    let _ = writeln!(text, "{name} check {end}");
    let text = match passes && !query.verbose {
        true => "ok".to_owned(),
        false => text,
    };
    let mut response = Response::new(status, text);
    response.set("Content-Type", "text/plain; charset=utf-8");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Cache-Control", "no-store");
    response
}

/// What the query asks for. Other parameters are ignored.
#[derive(Default)]
struct Query {
    verbose: bool,
    excluded: Vec<String>,
}

impl Query {
    fn read(query: &[u8]) -> Self {
        let mut read = Self::default();
        for pair in query.split(|byte| *byte == b'&') {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            match name {
                b"verbose" => read.verbose = true,
                b"exclude" => read
                    .excluded
                    .extend(percent::decode_form("exclude", value).ok()),
                _ => {}
            }
        }
        read
    }
}
