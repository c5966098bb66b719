//! Cross-origin requests from pages (Fetch §3.2): off unless origins are configured. Pure.

use super::rate_limit;
use super::response::Response;
use authkv_config::Origins;
use authkv_wire::head::Head;
use std::borrow::Cow;

/// How many seconds a browser may cache the answer to a preflight.
const MAX_AGE: &str = "600";

/// Fields of an answer that a page may read.
const EXPOSED: &str =
    "Authkv-Expires-At, Authkv-Revision, ETag, Retry-After, X-Request-Id, X-Total-Count";
/// Fields of a request that a page may set.
const TAKEN: &str =
    "Authkv-Consistency, Authkv-Min-Revision, Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, X-Request-Id";

/// The origin that may see an answer.
pub struct Allowed {
    origin: Cow<'static, str>,
    preflight: bool,
}

/// The page's origin, if the page may see the answer.
pub fn allowed(origins: &Origins, head: &Head) -> Option<Allowed> {
    let origin = head.origin.text()?;
    let origin = match origins {
        Origins::All => "*".into(),
        Origins::These(these) => {
            these.iter().find(|one| one.covers(origin))?;
            // A configured origin covers it, so it has no bytes that a header must not have.
            origin.to_ascii_lowercase().into()
        }
    };
    let preflight = head.method == "OPTIONS" && head.requested_method.text().is_some();
    Some(Allowed { origin, preflight })
}

/// Adds the headers for the browser. Credentials are not allowed, because tokens travel in a header.
pub fn add(origins: &Origins, allowed: Option<Allowed>, methods: &str, response: &mut Response) {
    if matches!(origins, Origins::These(these) if !these.is_empty()) {
        response.vary("Origin");
    }
    let Some(Allowed { origin, preflight }) = allowed else {
        return;
    };
    response.set("Access-Control-Allow-Origin", origin);
    let mut exposed = EXPOSED.to_owned();
    if rate_limit::is_in(response) {
        exposed.push_str(rate_limit::EXPOSED);
    }
    response.set("Access-Control-Expose-Headers", exposed);
    if preflight {
        response.set("Access-Control-Allow-Methods", methods.to_owned());
        response.set("Access-Control-Allow-Headers", TAKEN);
        response.set("Access-Control-Max-Age", MAX_AGE);
    }
}
