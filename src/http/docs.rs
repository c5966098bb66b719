//! The page `/docs` and the document `/openapi.json`. HTTP workers only; nothing here waits.
//!
//! The document depends on the settings of a server, which makes it at the first request. The other pages are the same for
//! all servers.

use super::compress;
use super::openapi;
use super::response::Response;
use authkv_config::{Config, HttpConfig};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// What the page may do (CSP Level 3): load files from this server, and call it.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The headers of every page, except its type and length.
const HEADERS: &[(&str, &str)] = &[
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    // A cached page could be older than the server that it calls.
    ("Cache-Control", "no-store"),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";

const INDEX: &str = include_str!("docs/index.html");

/// The files of the page. `build.rs` unpacks those of Swagger UI.
const ASSETS: &[(&str, &str, &str)] = &[
    ("/docs/page.css", CSS, include_str!("docs/page.css")),
    (
        "/docs/initializer.js",
        SCRIPT,
        include_str!("docs/initializer.js"),
    ),
    (
        "/docs/swagger-ui.css",
        CSS,
        include_str!(concat!(env!("OUT_DIR"), "/swagger-ui.css")),
    ),
    (
        "/docs/swagger-ui-bundle.js",
        SCRIPT,
        include_str!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js")),
    ),
];

/// The answer to a path of this module.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    pub path: &'static str,
    content_type: &'static str,
    /// Reference-counted, so that a copy of the page is cheap.
    body: Bytes,
    /// The body in gzip, compressed once.
    compressed: Bytes,
}

/// The path of the document.
pub const DOCUMENT: &str = "/openapi.json";

/// The document of a server with the settings `http`.
pub fn document(config: &Config, http: &HttpConfig) -> Arc<File> {
    File::new(DOCUMENT, JSON, openapi::json(config, http).into())
}

/// The page of a path of this module, except for the document.
pub fn find(path: &str) -> Option<Arc<File>> {
    static PAGES: OnceLock<Vec<Arc<File>>> = OnceLock::new();
    if !path.starts_with("/docs") {
        return None;
    }
    let mut pages = PAGES.get_or_init(pages).iter();
    pages.find(|page| page.path == path).cloned()
}

impl File {
    fn new(path: &'static str, content_type: &'static str, body: Bytes) -> Arc<Self> {
        Arc::new(Self {
            path,
            content_type,
            compressed: compress::gzip(&body).into(),
            body,
        })
    }
}

/// The answer with a page, in gzip if the client accepts it.
pub fn response(page: &File, accept_encoding: &str) -> Response {
    let gzip = compress::accepts(accept_encoding, "gzip");
    let mut response = match gzip {
        true => Response::new(200, page.compressed.clone()),
        false => Response::new(200, page.body.clone()),
    };
    if gzip {
        response.set("Content-Encoding", "gzip");
    }
    response.vary("Accept-Encoding");
    response.set("Content-Type", page.content_type);
    for (name, value) in HEADERS {
        response.set(name, *value);
    }
    response
}

fn pages() -> Vec<Arc<File>> {
    // Addresses are relative, because a proxy may mount the server under a prefix.
    let index = |assets, openapi| {
        let html = INDEX.replace("{assets}", assets);
        html.replace("{openapi}", openapi).into()
    };
    let mut pages = vec![
        File::new("/docs", HTML, index("docs/", "openapi.json")),
        File::new("/docs/", HTML, index("", "../openapi.json")),
    ];
    for (path, content_type, text) in ASSETS {
        pages.push(File::new(
            path,
            content_type,
            Bytes::from_static(text.as_bytes()),
        ));
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_what_is_served_beside_it() {
        for (path, base) in [("/docs", "/"), ("/docs/", "/docs/")] {
            let page = find(path).unwrap();
            let html = std::str::from_utf8(&page.body).unwrap();
            let mut links = 0;
            for attribute in ["src=\"", "href=\""] {
                for rest in html.split(attribute).skip(1) {
                    let link = rest.split('"').next().unwrap();
                    if link == "data:," {
                        continue;
                    }
                    let target = match link.strip_prefix("../") {
                        Some(above) => format!("/{above}"),
                        None => format!("{base}{link}"),
                    };
                    let is_there = target == DOCUMENT || find(&target).is_some();
                    assert!(is_there, "{path} names {target}");
                    links += 1;
                }
            }
            assert_eq!(links, ASSETS.len() + 1);
        }
    }

    #[test]
    fn the_page_has_nothing_inline() {
        for word in ["<style", "style=", "<script>", "onclick", "onload"] {
            assert!(!INDEX.contains(word), "{word}");
        }
    }
}
