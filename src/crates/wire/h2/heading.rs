//! Checks one head of HTTP/2 field by field and writes it for hyper. Pure.

use super::super::head::check::{self, Fault, Fields, Known};
use super::hpack;
use http::Method;

/// The field that carries a [`Mark`] to hyper. If a client sends it, it is dropped.
pub const MARK: &str = "authkv-mark";
/// The bytes that the mark adds to the list of fields (RFC 9113 §6.5.2).
pub const MARK_SIZE: usize = 64;
/// The bytes of the path of a head that is too large: enough to find its profile.
const PATH_PART: usize = 64;

/// A head, or the fields after a body.
#[derive(Debug)]
pub struct Heading {
    /// The most bytes of all fields.
    max: usize,
    size: usize,
    fault: Option<Fault>,
    fields: Fields,
    method: Option<Method>,
    scheme: Option<&'static str>,
    authority: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    has_path: bool,
    /// The path is `*`.
    is_star: bool,
    expects_continue: bool,
    /// The block of fields for hyper.
    block: Vec<u8>,
}

impl Heading {
    pub fn new(max: usize) -> Self {
        Self {
            max,
            size: 0,
            fault: None,
            fields: Fields::default(),
            method: None,
            scheme: None,
            authority: None,
            host: None,
            has_path: false,
            is_star: false,
            expects_continue: false,
            block: Vec::new(),
        }
    }

    /// Takes the next field.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + hpack::OVERHEAD;
        if self.size > self.max {
            self.too_large(Fault::Bytes, name, value);
        }
        if name == MARK.as_bytes() || matches!(self.fault, Some(Fault::Bytes | Fault::Fields)) {
            return;
        }
        if let Err(fault) = self.check(name, value) {
            match fault {
                Fault::Fields => return self.too_large(fault, name, value),
                _ => self.fault = self.fault.or(Some(fault)),
            }
        }
        hpack::write(&mut self.block, name, value);
    }

    /// Notes that the head is too large. Keeps nothing more, except for the beginning of the path.
    fn too_large(&mut self, fault: Fault, name: &[u8], value: &[u8]) {
        self.fault = Some(fault);
        if name == b":path" && !self.has_path {
            self.has_path = true;
            let is_end = |byte: &u8| !byte.is_ascii_graphic() || b"?#".contains(byte);
            let end = value.iter().position(is_end).unwrap_or(value.len());
            hpack::write(&mut self.block, name, &value[..end.min(PATH_PART)]);
        }
    }

    /// Checks one field. Some mistakes are left to hyper, which refuses them: names in capitals, fields of HTTP/1.1 only, and
    /// pseudo-fields that are unknown, repeated or late (RFC 9113 §8.2, 8.3).
    fn check(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        match name {
            b":method" => self.method = Some(check::method(value)?),
            b":scheme" => self.scheme = Some(check::scheme(value)?),
            b":authority" => {
                check::authority(value)?;
                self.authority = Some(value.to_vec());
            }
            b":path" => {
                self.has_path = true;
                self.is_star = value == b"*";
                // The method may follow later.
                match self.is_star {
                    true => check::path(&Method::OPTIONS, value)?,
                    false => check::path(&Method::GET, value)?,
                }
            }
            [b':', ..] => {}
            _ => {
                if !check::is_name(name) {
                    return Err(Fault::Name);
                }
                if !check::is_value(value) {
                    return Err(Fault::Value);
                }
                // RFC 9113 §8.2.1 forbids blanks around a value. In HTTP/1.1 they are allowed and not part of the value.
                if [value.first(), value.last()]
                    .iter()
                    .any(|byte| matches!(byte, Some(b' ' | b'\t')))
                {
                    return Err(Fault::Blanks);
                }
                match self.fields.add(name, value)? {
                    Some(Known::Host) => self.host = Some(value.to_vec()),
                    Some(Known::Expect) => self.expects_continue = true,
                    Some(Known::Length(_)) | None => {}
                }
            }
        }
        Ok(())
    }

    /// The block of fields of a request for hyper.
    pub fn into_head(mut self, stream: u32, ends: bool) -> Vec<u8> {
        let fault = self.fault.or(self.whole().err());
        let waits = self.expects_continue && !ends;
        if fault.is_some() || waits {
            let mark = Mark {
                fault,
                waiting: waits.then_some(stream),
            };
            hpack::write(&mut self.block, MARK.as_bytes(), mark.text().as_bytes());
        }
        self.block
    }

    /// The block of fields after a body for hyper. If something is wrong, it becomes a block that hyper refuses.
    pub fn into_trailer(mut self) -> Vec<u8> {
        if self.fault.is_some() {
            hpack::write(&mut self.block, b"connection", b"close");
        }
        self.block
    }

    /// Checks that need all fields.
    fn whole(&self) -> Result<(), Fault> {
        // hyper refuses a head without a method.
        let Some(method) = &self.method else {
            return Ok(());
        };
        // CONNECT has no path (RFC 9113 §8.5), and is not supported.
        if !self.has_path || method == Method::CONNECT {
            return Err(Fault::RelativePath);
        }
        let Some(scheme) = self.scheme else {
            return Ok(());
        };
        match (&self.authority, &self.host) {
            (None, None) => return Err(Fault::NoHost),
            // RFC 9113 §8.3.1.
            (Some(authority), Some(host)) if !check::is_same(scheme, authority, host) => {
                return Err(Fault::OtherHost)
            }
            _ => {}
        }
        match self.is_star {
            true => check::path(method, b"*"),
            false => Ok(()),
        }
    }
}

/// The findings about a head, for hyper's handler.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub fault: Option<Fault>,
    /// The stream if the client waits for `100 Continue`.
    pub waiting: Option<u32>,
}

impl Mark {
    /// Reads the text that `text` writes.
    pub fn read(text: &str) -> Self {
        let mut words = text.split(' ').map(|word| word.parse::<u32>().ok());
        let mut next = || words.next().flatten();
        let fault = next().and_then(|number| Fault::ALL.get(number as usize).copied());
        Self {
            fault,
            waiting: next(),
        }
    }

    fn text(&self) -> String {
        let word = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let fault = self.fault.map(|fault| fault as u32);
        format!("{} {}", word(fault), word(self.waiting))
    }
}
