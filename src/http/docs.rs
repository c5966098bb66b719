//! The page `/docs` and the document `/openapi.json`. HTTP workers only; nothing here waits.
//!
//! Each is made once, from the settings of the instance, of which a loaded image has one.

use super::compress;
use super::openapi;
use super::response::Response;
use authkv_config::Config;
use authkv_wire::routes;
use bytes::Bytes;
use std::sync::OnceLock;

/// What the page may do (CSP Level 3): load what stands beside it, and call the server it came from.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The headers of every page here, beside its type and length.
const HEADERS: &[(&str, &str)] = &[
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    // A page is never older than the server that it calls.
    ("Cache-Control", "no-store"),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";

const INDEX: &str = include_str!("docs/index.html");

/// The files beside the page. Those of Swagger UI are unpacked by `build.rs`.
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

/// What a path and a method mean, with the pages of this module.
pub type Target = routes::Target<&'static Page>;

/// What a path of this module answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub path: &'static str,
    content_type: &'static str,
    /// Shared, so that a copy of the page is cheap.
    body: Bytes,
    /// The body in gzip, made once.
    compressed: Bytes,
}

/// The page of a path, if it is one of this module's.
pub fn find(config: &Config, path: &str) -> Option<&'static Page> {
    static PAGES: OnceLock<Vec<Page>> = OnceLock::new();
    if !path.starts_with("/docs") && path != "/openapi.json" {
        return None;
    }
    let pages = PAGES.get_or_init(|| pages(config));
    pages.iter().find(|page| page.path == path)
}

/// A page as it is sent to a client that accepts these codings.
pub fn response(page: &Page, accept_encoding: &str) -> Response {
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

fn pages(config: &Config) -> Vec<Page> {
    let page = |path, content_type, body: Bytes| Page {
        path,
        content_type,
        compressed: compress::gzip(&body).into(),
        body,
    };
    // Addresses are relative, because the server may be mounted under a prefix.
    let index = |assets, openapi| {
        let html = INDEX.replace("{assets}", assets);
        html.replace("{openapi}", openapi).into()
    };
    let mut pages = vec![
        page("/openapi.json", JSON, openapi::json(config).into()),
        page("/docs", HTML, index("docs/", "openapi.json")),
        page("/docs/", HTML, index("", "../openapi.json")),
    ];
    for (path, content_type, text) in ASSETS {
        pages.push(page(
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
    use std::collections::BTreeMap;

    #[test]
    fn the_page_names_only_what_is_served_beside_it() {
        let config = Config::new(BTreeMap::new()).unwrap();
        for (path, base) in [("/docs", "/"), ("/docs/", "/docs/")] {
            let page = find(&config, path).unwrap();
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
                    assert!(find(&config, &target).is_some(), "{path} names {target}");
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
