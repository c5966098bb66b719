//! Pages that describe the API.

use super::response::Response;

/// A fixed document.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub content_type: &'static str,
    pub body: bytes::Bytes,
}

/// The page of a path.
pub fn find(_path: &str) -> Option<Page> {
    None
}

pub fn response(page: &Page) -> Response {
    let mut response = Response::new(200, page.body.clone());
    response.set("Content-Type", page.content_type);
    response
}
