//! Successes as clients get them, in both profiles. Pure.

use super::response::Response;
use super::{api, pair, proxy_auth, v1};
use authkv_base::error::Error;
use authkv_command::Outcome;
use authkv_wire::head::Head;
use authkv_wire::routes::{Profile, Route};

/// The answer to a success. Errors: `Malformed` if the outcome is not msgpack, or if a condition is malformed.
pub fn success(head: &Head, route: &Route, outcome: &Outcome) -> Result<Response, Error> {
    let (status, body) = match (route.profile, outcome) {
        (Profile::Api, _) => api::render_outcome(outcome)?,
        (Profile::V1, Outcome::Pair(found)) => return pair::response(head, found),
        (Profile::V1, Outcome::Allowed(allowed)) => return Ok(proxy_auth::response(allowed)),
        (Profile::V1, _) => v1::render_outcome(route.endpoint.status, outcome)?,
    };
    let mut response = Response::json(status, body);
    set_revision(&mut response, outcome.revision());
    if let Outcome::PairWritten { revision, .. } = outcome {
        response.set("ETag", pair::tag(*revision));
    }
    Ok(response)
}

/// Adds the revision from which on a write is seen, if there was one.
pub fn set_revision(response: &mut Response, revision: Option<u64>) {
    if let Some(revision) = revision {
        response.set("Authkv-Revision", revision.to_string());
    }
}
