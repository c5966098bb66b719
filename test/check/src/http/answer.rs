//! What an answer of HTTP says. Its status and headers have to go with it; they are no part of the outcome.

use super::Answer;
use crate::client::Failure;
use crate::command::Command;
use crate::outcome::{Outcome, Refusal, REFUSALS};
use crate::value::{body_from_json, from_json, map, member, plain_from_json};
use rmpv::Value;
use serde_json::Value as Json;

impl Answer {
    pub fn outcome(&self, command: &Command) -> Result<Outcome, Failure> {
        let outcome = match (command, self.status) {
            (Command::PairGet { head: true, .. }, 400..) => self.refused_without_body(),
            (Command::OldRead { .. } | Command::OldWrite { .. }, 400..) => self.message(),
            (_, 400..) => self.problem(),
            (Command::PairGet { key, head, .. }, 200) => self.pair(key, *head),
            (Command::PairGet { key, .. }, 304) => self.not_modified(key),
            (Command::PairPut { .. }, 200 | 201) => self.written(),
            (Command::OldWrite { .. }, 201) => self.json().map(plain_from_json),
            (Command::OldRead { .. }, 200) => self.json().map(plain_from_json),
            (Command::OldWrite { .. }, _) => None,
            (_, 200) => self.json().map(body_from_json),
            _ => None,
        };
        match outcome {
            Some(value) if self.status < 400 => Ok(Outcome::Done(value)),
            Some(value) => refusal(&value).ok_or_else(|| self.odd("refusal")),
            None => Err(self.odd("form")),
        }
    }

    pub fn odd(&self, what: &str) -> Failure {
        let body = String::from_utf8_lossy(&self.body);
        Failure::Odd(format!("{what}: {} {:?} {body}", self.status, self.headers))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, which says that it is JSON.
    fn json(&self) -> Option<Json> {
        let content_type = self.header("content-type")?;
        ["application/json", "application/problem+json"]
            .contains(&content_type)
            .then(|| serde_json::from_slice(&self.body).ok())?
    }

    fn etag(&self) -> Option<u64> {
        let tag = self.header("etag")?;
        tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    }

    /// The members of a pair, as `pair_get` has them. `head`: without its value, which is nil then.
    fn pair(&self, key: &str, head: bool) -> Option<Value> {
        let constants = [
            ("cache-control", "private, no-cache"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "sandbox; default-src 'none'"),
        ];
        constants
            .iter()
            .all(|(name, value)| self.header(name) == Some(value))
            .then_some(())?;
        let content_type = self.header("content-type")?;
        let value = match (head, content_type) {
            (true, _) => self.body.is_empty().then_some(Value::Nil)?,
            (_, "application/json") => from_json(self.json()?),
            _ => Value::Binary(self.body.clone()),
        };
        let expires_at = match self.header("authkv-expires-at") {
            Some(text) => Some(("expires_at", text.parse::<f64>().ok()?.into())),
            None => None,
        };
        let content_type = (!["application/json", "application/octet-stream"]
            .contains(&content_type))
        .then(|| ("content_type", content_type.into()));
        let members = [
            ("key", key.into()),
            ("value", value),
            ("revision", self.etag()?.into()),
        ];
        Some(map(members
            .into_iter()
            .chain(expires_at)
            .chain(content_type)))
    }

    fn not_modified(&self, key: &str) -> Option<Value> {
        self.body.is_empty().then_some(())?;
        Some(map([
            ("key", key.into()),
            ("not_modified", true.into()),
            ("revision", self.etag()?.into()),
        ]))
    }

    /// 201 where it was created, and the new revision as a tag too.
    fn written(&self) -> Option<Value> {
        let body = body_from_json(self.json()?);
        let created = member(&body, "created")?.as_bool()?;
        let revision = member(&body, "revision")?.as_u64();
        (created == (self.status == 201) && revision == self.etag()).then_some(body)
    }

    /// A problem of RFC 9457, less what its status and code say anyway.
    fn problem(&self) -> Option<Value> {
        let Value::Map(members) = plain_from_json(self.json()?) else {
            return None;
        };
        let names: Vec<_> = members
            .iter()
            .filter_map(|(name, _)| name.as_str())
            .collect();
        let body = Value::Map(members.clone());
        let text = |name| member(&body, name)?.as_str();
        let code = text("code")?;
        let (_, _, status, title) = REFUSALS.iter().find(|row| row.0 == code)?;
        let consistent = names.starts_with(&["type", "title", "status", "code", "detail"])
            && text("type") == Some("about:blank")
            && text("title") == Some(title)
            && member(&body, "status")?.as_u64() == Some(u64::from(*status))
            && self.status == *status;
        consistent.then(|| Value::Map(members[3..].to_vec()))
    }

    /// `{"message": …}` of `/api`: 400 for all that may come.
    fn message(&self) -> Option<Value> {
        let body = plain_from_json(self.json()?);
        let text = member(&body, "message")?.clone();
        let only = body.as_map().is_some_and(|members| members.len() == 1);
        (only && self.status == 400).then(|| map([("code", "".into()), ("detail", text)]))
    }

    /// An answer to HEAD has a status only.
    fn refused_without_body(&self) -> Option<Value> {
        let code = match self.status {
            404 => "no_such_key",
            412 => "conflict",
            _ => return None,
        };
        self.body
            .is_empty()
            .then(|| map([("code", code.into()), ("detail", "".into())]))
    }
}

/// Of code, detail, and maybe key and revision.
fn refusal(problem: &Value) -> Option<Outcome> {
    let members: Vec<_> = problem
        .as_map()?
        .iter()
        .filter_map(|(name, value)| Some((name.as_str()?, value)))
        .collect();
    let (name, message, at) = match members.as_slice() {
        [("code", code), ("detail", detail)] => (code, detail, None),
        [("code", code), ("detail", detail), ("key", key)] => {
            (code, detail, Some((key.as_str()?.to_owned(), None)))
        }
        [("code", code), ("detail", detail), ("key", key), ("revision", revision)] => {
            let at = (key.as_str()?.to_owned(), Some(revision.as_u64()?));
            (code, detail, Some(at))
        }
        _ => return None,
    };
    Some(Outcome::Refused(Refusal {
        name: name.as_str()?.to_owned(),
        message: message.as_str()?.to_owned(),
        at,
    }))
}
