//! The line of a request in Tarantool's log. It never has a token, a password, a query, or a path without a route. Pure.

use authkv_base::origin::Peer;
use serde::Serialize;

/// The contents of a line.
#[derive(Serialize)]
pub struct Entry<'a> {
    pub request_id: &'a str,
    #[serde(serialize_with = "peer")]
    pub remote: &'a Peer,
    /// `-` if it is no standard method.
    pub method: &'a str,
    /// The path of the route, or `-`.
    pub path: &'a str,
    pub status: u16,
    /// The name of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// The leader of the replica set has executed the request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The user of the token, if the token is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<&'a str>,
    pub bytes_in: usize,
    pub bytes_out: usize,
    /// From the end of the header to the answer, or to the end of an answer in pieces.
    pub microseconds: u128,
    /// The ids of the header `traceparent`, if it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<&'a str>,
}

fn peer<S: serde::Serializer>(peer: &Peer, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(peer)
}

impl Entry<'_> {
    /// The line: a JSON object with `json`, otherwise words.
    pub fn line(&self, json: bool) -> String {
        if json {
            // Serializing strings and numbers cannot fail.
            return serde_json::to_string(self).unwrap_or_default();
        }
        let member = |name: &str, text: Option<&str>| {
            text.map(|text| format!(" {name}={text}"))
                .unwrap_or_default()
        };
        format!(
            "{} {} {} {} {} in={} out={} us={} id={}{}{}{}{}",
            self.remote,
            self.login.unwrap_or("-"),
            self.method,
            self.path,
            self.status,
            self.bytes_in,
            self.bytes_out,
            self.microseconds,
            self.request_id,
            member("error", self.error),
            if self.forwarded { " forwarded" } else { "" },
            member("trace_id", self.trace_id),
            member("parent_id", self.parent_id),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_words_or_an_object() {
        let entry = Entry {
            request_id: "7f",
            remote: &Peer::Unix,
            method: "POST",
            path: "/api/read",
            status: 401,
            error: Some("unauthenticated"),
            forwarded: false,
            login: None,
            bytes_in: 14,
            bytes_out: 62,
            microseconds: 80,
            trace_id: None,
            parent_id: None,
        };
        let traced = Entry {
            trace_id: Some("4bf9"),
            parent_id: Some("00f0"),
            ..entry
        };
        assert!(traced
            .line(false)
            .ends_with(" error=unauthenticated trace_id=4bf9 parent_id=00f0"));
        let forwarded = Entry {
            forwarded: true,
            ..traced
        };
        assert!(forwarded
            .line(false)
            .contains(" error=unauthenticated forwarded trace_id="));
        assert!(forwarded.line(true).contains(r#","forwarded":true,"#));
        let entry = Entry {
            trace_id: None,
            parent_id: None,
            forwarded: false,
            ..forwarded
        };
        assert_eq!(
            entry.line(false),
            "unix - POST /api/read 401 in=14 out=62 us=80 id=7f error=unauthenticated"
        );
        assert_eq!(
            entry.line(true),
            r#"{"request_id":"7f","remote":"unix","method":"POST","path":"/api/read","status":401,"error":"unauthenticated","bytes_in":14,"bytes_out":62,"microseconds":80}"#
        );
    }
}
