//! Pages: the paths that belong to no operation, and which server has which. Nothing here waits.
//!
//! A page is a variant of [`Page`]: its place in [`find`] says who serves it, and [`Page::answer`] what it answers.

use super::docs;
use super::metrics_page;
use super::probe::{self, Probe};
use super::response::Response;
use super::shared::{Shared, Site};
use authkv_wire::head::Head;
use authkv_wire::routes;
use std::sync::Arc;

/// The meaning of a path and a method.
pub type Target = routes::Target<Page>;

/// A page.
#[derive(Debug, PartialEq)]
pub enum Page {
    /// A file of the documentation.
    File(Arc<docs::File>),
    Probe(Probe),
    /// The metrics. An exchange that can wait asks tx for them first.
    Metrics,
}

/// The page of this path, if this server has it.
pub fn find(shared: &Shared, path: &str) -> Option<Page> {
    let probe = || {
        let is_served = shared.config.health;
        Probe::find(path).filter(|_| is_served).map(Page::Probe)
    };
    match shared.site {
        Site::Admin if path == metrics_page::PATH => Some(Page::Metrics),
        Site::Admin => probe(),
        Site::Main => probe().or_else(|| shared.file(path).map(Page::File)),
    }
}

impl Page {
    pub fn path(&self) -> &'static str {
        match self {
            Page::File(file) => file.path,
            Page::Probe(probe) => probe.path(),
            Page::Metrics => metrics_page::PATH,
        }
    }

    /// The answer with the page.
    pub fn answer(&self, head: &Head, shared: &Shared) -> Response {
        match self {
            Page::File(file) => {
                let accepted = head.accept_encoding.text();
                let accepted = accepted.filter(|_| shared.config.compression);
                docs::response(file, accepted.unwrap_or_default())
            }
            Page::Probe(probe) => {
                let checks = probe.checks(&shared.health);
                // Everybody may ask the main listener.
                let tells_why = shared.site == Site::Admin;
                probe::response(*probe, &checks, &head.query, tells_why)
            }
            Page::Metrics => metrics_page::without_tx(head, shared),
        }
    }
}
