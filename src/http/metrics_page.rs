//! `/metrics`: what Prometheus reads, as text. Any thread.

use super::response::Response;
use super::shared::Shared;
use authkv_metrics::text::{write, Format};
use authkv_metrics::{list, Family};
use authkv_wire::head::Head;

pub const PATH: &str = "/metrics";

/// The answer with these metrics, in the format that the client accepts.
pub fn response(head: &Head, families: Vec<Family>) -> Response {
    let accepted = head.accept.text().unwrap_or_default();
    let format = Format::accepted(accepted);
    let mut response = Response::new(200, write(families, format));
    response.set("Content-Type", format.content_type());
    response.set("Cache-Control", "no-store");
    response.vary("Accept");
    response
}

/// The answer with what is known without tx.
pub fn without_tx(head: &Head, shared: &Shared) -> Response {
    let mut families = shared.core.measured_anywhere();
    families.push(list::TX_UP.single(false));
    response(head, list::arrange(families))
}
