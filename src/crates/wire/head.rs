//! The parts of a request's header that authkv uses, for every version of HTTP. Pure.

pub mod check;

use bytes::Bytes;
use http::Method;

/// The method, the path, and the fields that authkv uses.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub method: Method,
    /// Without the query. Visible ASCII.
    pub path: Bytes,
    /// The text after the question mark.
    pub query: Bytes,
    pub authorization: Field,
    pub content_type: Field,
    pub content_encoding: Field,
    pub accept: Field,
    pub accept_encoding: Field,
    pub if_match: Field,
    pub if_none_match: Field,
    pub origin: Field,
    /// The method that a preflight asks about (Fetch §3.2).
    pub requested_method: Field,
    pub request_id: Field,
    pub user_agent: Field,
    /// The event after which a watch continues (HTML §9.2.4).
    pub last_event_id: Field,
    pub traceparent: Field,
    /// The addresses of clients that proxies report.
    pub x_forwarded_for: Field,
    pub forwarded: Field,
    /// The revision that a read has to see.
    pub min_revision: Field,
    pub consistency: Field,
}

/// A field that may appear once.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Field {
    #[default]
    None,
    One(Bytes),
    /// The field appears more than once, so it is unclear which one counts.
    Many,
}

impl Field {
    /// The text of a field that appears once and has only visible ASCII and spaces.
    pub fn text(&self) -> Option<&str> {
        match self {
            Field::One(value) => std::str::from_utf8(value).ok(),
            Field::None | Field::Many => None,
        }
    }

    fn join(&mut self, value: &[u8]) {
        *self = Field::One(match self {
            Field::One(before) => [&before[..], b",", value].concat().into(),
            Field::None | Field::Many => Bytes::copy_from_slice(value),
        });
    }

    fn set(&mut self, value: Bytes) {
        *self = match self {
            Field::None => Field::One(value),
            Field::One(_) | Field::Many => Field::Many,
        };
    }
}

impl Head {
    /// `target` is the path, with or without a query.
    pub fn new(method: Method, target: Bytes) -> Self {
        let end = memchr::memchr(b'?', &target);
        Self {
            method,
            path: target.slice(..end.unwrap_or(target.len())),
            query: end.map_or_else(Bytes::new, |end| target.slice(end + 1..)),
            authorization: Field::None,
            content_type: Field::None,
            content_encoding: Field::None,
            accept: Field::None,
            accept_encoding: Field::None,
            if_match: Field::None,
            if_none_match: Field::None,
            origin: Field::None,
            requested_method: Field::None,
            request_id: Field::None,
            user_agent: Field::None,
            last_event_id: Field::None,
            traceparent: Field::None,
            x_forwarded_for: Field::None,
            forwarded: Field::None,
            min_revision: Field::None,
            consistency: Field::None,
        }
    }

    /// Takes a field of the header, if authkv uses it. Case in names does not count.
    pub fn add(&mut self, name: &str, value: impl FnOnce() -> Bytes) {
        let field = match name.len() {
            6 if name.eq_ignore_ascii_case("origin") => &mut self.origin,
            8 if name.eq_ignore_ascii_case("if-match") => &mut self.if_match,
            9 if name.eq_ignore_ascii_case("forwarded") => &mut self.forwarded,
            10 if name.eq_ignore_ascii_case("user-agent") => &mut self.user_agent,
            11 if name.eq_ignore_ascii_case("traceparent") => &mut self.traceparent,
            12 if name.eq_ignore_ascii_case("content-type") => &mut self.content_type,
            12 if name.eq_ignore_ascii_case("x-request-id") => &mut self.request_id,
            13 if name.eq_ignore_ascii_case("last-event-id") => &mut self.last_event_id,
            13 if name.eq_ignore_ascii_case("if-none-match") => &mut self.if_none_match,
            13 if name.eq_ignore_ascii_case("authorization") => &mut self.authorization,
            15 if name.eq_ignore_ascii_case("x-forwarded-for") => &mut self.x_forwarded_for,
            6 if name.eq_ignore_ascii_case("accept") => &mut self.accept,
            15 if name.eq_ignore_ascii_case("accept-encoding") => &mut self.accept_encoding,
            16 if name.eq_ignore_ascii_case("content-encoding") => &mut self.content_encoding,
            18 if name.eq_ignore_ascii_case("authkv-consistency") => &mut self.consistency,
            19 if name.eq_ignore_ascii_case("authkv-min-revision") => &mut self.min_revision,
            29 if name.eq_ignore_ascii_case("access-control-request-method") => {
                &mut self.requested_method
            }
            _ => return,
        };
        match (name.len(), name.as_bytes()[0].to_ascii_lowercase()) {
            // These fields are lists. Several lines make one list (RFC 9110 §5.3).
            (6, b'a') | (8 | 13, b'i') | (9, b'f') | (15, b'x') => field.join(&value()),
            _ => field.set(value()),
        }
    }

    /// The fields that matter for an operation with a whole answer, apart from `X-Request-Id`, and those about the connection: the
    /// coding of the answer, and what proxies report. A field that appears more than once is there twice, without a value.
    pub fn of_operation(&self) -> impl Iterator<Item = (&'static str, Bytes)> + '_ {
        let fields = [
            ("authorization", &self.authorization),
            ("content-type", &self.content_type),
            ("content-encoding", &self.content_encoding),
            ("accept", &self.accept),
            ("if-match", &self.if_match),
            ("if-none-match", &self.if_none_match),
            ("origin", &self.origin),
            ("user-agent", &self.user_agent),
            ("traceparent", &self.traceparent),
            ("authkv-min-revision", &self.min_revision),
            ("authkv-consistency", &self.consistency),
        ];
        let values = |field: &Field| match field {
            Field::None => [None, None],
            Field::One(value) => [Some(value.clone()), None],
            Field::Many => [Some(Bytes::new()), Some(Bytes::new())],
        };
        let named = move |(name, field)| {
            let values = values(field).into_iter().flatten();
            values.map(move |value| (name, value))
        };
        fields.into_iter().flat_map(named)
    }

    /// The path with the query.
    pub fn target(&self) -> Vec<u8> {
        match self.query.is_empty() {
            true => self.path.to_vec(),
            false => [&self.path[..], b"?", &self.query].concat(),
        }
    }

    /// The path as text.
    pub fn path(&self) -> &str {
        std::str::from_utf8(&self.path).unwrap_or_default()
    }
}
