//! The line a request leaves in Tarantool's log. It never holds a token, a password, a query or a path that no
//! route has. Pure.

use authkv_base::origin::Peer;
use serde::Serialize;

/// What is told of a request.
#[derive(Serialize)]
pub struct Entry<'a> {
    pub request_id: &'a str,
    #[serde(serialize_with = "peer")]
    pub remote: &'a Peer,
    /// `-` where it is no standard one.
    pub method: &'a str,
    /// The path of the route, or `-`.
    pub path: &'a str,
    pub status: u16,
    /// The name of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// The user, where a token said who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<&'a str>,
    pub bytes_in: usize,
    pub bytes_out: usize,
    /// From the end of the header to the answer.
    pub microseconds: u128,
}

fn peer<S: serde::Serializer>(peer: &Peer, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(peer)
}

impl Entry<'_> {
    /// One line: an object in `json`, else words.
    pub fn line(&self, json: bool) -> String {
        if json {
            // Texts and numbers do not fail to encode.
            return serde_json::to_string(self).unwrap_or_default();
        }
        format!(
            "{} {} {} {} {} in={} out={} us={} id={}{}",
            self.remote,
            self.login.unwrap_or("-"),
            self.method,
            self.path,
            self.status,
            self.bytes_in,
            self.bytes_out,
            self.microseconds,
            self.request_id,
            self.error
                .map(|name| format!(" error={name}"))
                .unwrap_or_default(),
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
            login: None,
            bytes_in: 14,
            bytes_out: 62,
            microseconds: 80,
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
