//! Compressed answers (RFC 9110 §8.4.1, §12.5.3). HTTP workers only.

use super::response::Response;
use brotli::CompressorWriter;
use flate2::{write::GzEncoder, Compression};
use std::io::{self, Write};

/// The smallest body, in bytes, that is worth compressing.
pub const MIN: usize = 1024;
/// How many bytes are compressed before other connections of the worker get their turn.
const SLICE: usize = 64 * 1024;
const GZIP_LEVEL: u32 = 4;
/// The maximum is 11. From 5 on, brotli is slower than the network.
const BROTLI_QUALITY: u32 = 4;
/// Binary logarithm of brotli's window in bytes.
const BROTLI_WINDOW: u32 = 19;

/// A coding that the server supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Brotli,
}

/// The coding with the highest weight, brotli if the weights are equal. `None` if the client prefers none.
pub fn choose(accept_encoding: &str) -> Option<Coding> {
    let quality = |name, otherwise| quality(accept_encoding, name, otherwise);
    let codings = [(Coding::Gzip, "gzip"), (Coding::Brotli, "br")];
    let best = codings
        .map(|(coding, name)| (quality(name, 0), coding))
        .into_iter()
        .max_by_key(|(quality, _)| *quality);
    let plain = quality("identity", 1);
    best.filter(|(quality, _)| *quality >= plain.max(1))
        .map(|(_, coding)| coding)
}

/// Whether the client accepts this coding.
pub fn accepts(accept_encoding: &str, name: &str) -> bool {
    quality(accept_encoding, name, 0) > 0
}

/// `body` in gzip, with the best compression, for bodies that are compressed once.
pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

/// The weight of a coding in thousandths (RFC 9110 §12.4.2); `otherwise` if the header does not name it.
fn quality(accept_encoding: &str, name: &str, otherwise: u32) -> u32 {
    let mut any = otherwise;
    for item in accept_encoding.split(',') {
        let (coding, parameter) = item.split_once(';').unwrap_or((item, ""));
        let coding = coding.trim();
        if coding.eq_ignore_ascii_case(name) {
            return thousandths(parameter);
        }
        if coding == "*" && name != "identity" {
            any = thousandths(parameter);
        }
    }
    any
}

/// The weight `q=0.5` as 500. Without a parameter 1000; 0 if the parameter is invalid.
fn thousandths(parameter: &str) -> u32 {
    let parameter = parameter.trim();
    if parameter.is_empty() {
        return 1000;
    }
    let number = parameter
        .strip_prefix("q=")
        .or(parameter.strip_prefix("Q="))
        .and_then(|text| text.trim().parse::<f32>().ok())
        .filter(|quality| (0.0..=1.0).contains(quality));
    number.map_or(0, |quality| (quality * 1000.0) as u32)
}

/// Compresses the body in `coding`, if it is worth the work.
pub async fn compress(response: &mut Response, coding: Option<Coding>) {
    response.vary("Accept-Encoding");
    let body = &response.body;
    let compressed = match coding {
        Some(Coding::Gzip) => {
            let out = Vec::with_capacity(body.len() / 3);
            let mut encoder = GzEncoder::new(out, Compression::new(GZIP_LEVEL));
            match write_in_turns(&mut encoder, body).await {
                Ok(()) => encoder.finish().ok().map(|out| (out, "gzip")),
                Err(_) => None,
            }
        }
        Some(Coding::Brotli) => {
            let out = Vec::with_capacity(body.len() / 3);
            let mut encoder = CompressorWriter::new(out, 4096, BROTLI_QUALITY, BROTLI_WINDOW);
            match write_in_turns(&mut encoder, body).await {
                Ok(()) => Some((encoder.into_inner(), "br")),
                Err(_) => None,
            }
        }
        None => None,
    };
    if let Some((compressed, name)) = compressed.filter(|(out, _)| out.len() < body.len()) {
        response.body = compressed.into();
        response.set("Content-Encoding", name);
    }
}

async fn write_in_turns(encoder: &mut impl Write, body: &[u8]) -> io::Result<()> {
    for slice in body.chunks(SLICE) {
        encoder.write_all(slice)?;
        if body.len() > SLICE {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses() {
        for (text, coding) in [
            ("", None),
            ("gzip", Some(Coding::Gzip)),
            ("GZIP;q=0.1, deflate", Some(Coding::Gzip)),
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip;q=1.0, br;q=0.9", Some(Coding::Gzip)),
            ("gzip;q=0, br;q=0", None),
            ("*", Some(Coding::Brotli)),
            ("*;q=0", None),
            ("br;q=0, *", Some(Coding::Gzip)),
            ("identity", None),
            ("identity;q=1, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=2", None),
            ("gzip;q=x", None),
        ] {
            assert_eq!(choose(text), coding, "{text}");
        }
    }
}
