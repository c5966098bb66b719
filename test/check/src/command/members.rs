//! What a command is on the wire: the batch it is about, and its options, which are the members of a JSON body or query
//! and of the last map over iproto.

use super::{Command, Compare, Expiry, If, List, Mode, Operation, Put, With};
use crate::value::map;
use rmpv::Value;

type Members = Vec<(&'static str, Value)>;

impl Command {
    /// The keys or the pairs; nil where it is no batch.
    pub fn batch(&self) -> Value {
        match self {
            Self::BatchGet { keys, .. } | Self::OldRead { keys } => {
                Value::Array(keys.iter().map(|key| key.as_str().into()).collect())
            }
            Self::BatchPut { pairs, .. } => {
                Value::Array(pairs.iter().map(|put| map(put.members())).collect())
            }
            Self::BatchDelete { keys, .. } => {
                Value::Array(keys.iter().map(key_to_delete).collect())
            }
            Self::OldWrite { pairs } => map(pairs
                .iter()
                .map(|(key, value)| (key.as_str(), value.clone()))),
            _ => Value::Nil,
        }
    }

    /// The options that are given.
    pub fn options(&self) -> Members {
        match self {
            Self::BatchGet { strict, .. } => strict
                .then(|| ("strict", true.into()))
                .into_iter()
                .collect(),
            Self::BatchPut {
                mode,
                atomic,
                expiry,
                ..
            } => [mode.map(Mode::member), atomic.map(atomic_member)]
                .into_iter()
                .chain([expiry.map(Expiry::member)])
                .flatten()
                .collect(),
            Self::BatchDelete { atomic, .. } => atomic.map(atomic_member).into_iter().collect(),
            Self::Txn {
                compare,
                success,
                failure,
            } => [
                ("compare", compare.iter().map(Compare::to_value).collect()),
                ("success", success.iter().map(Operation::to_value).collect()),
                ("failure", failure.iter().map(Operation::to_value).collect()),
            ]
            .into_iter()
            .filter(|(_, list): &(_, Vec<Value>)| !list.is_empty())
            .map(|(name, list)| (name, Value::Array(list)))
            .collect(),
            Self::List(list) => list.members(),
            Self::Incr { by, expiry, .. } => by_member(by)
                .into_iter()
                .chain(expiry.map(Expiry::member))
                .collect(),
            Self::PairGet { if_revision, .. } | Self::PairDelete { if_revision, .. } => {
                if_members(if_revision)
            }
            Self::PairPut {
                put,
                if_revision,
                mode,
            } => if_members(if_revision)
                .into_iter()
                .chain(put.options())
                .chain(mode.map(Mode::member))
                .collect(),
            Self::OldRead { .. } | Self::OldWrite { .. } => Vec::new(),
        }
    }
}

impl Put {
    fn members(&self) -> Members {
        let pair = [
            ("key", self.key.as_str().into()),
            ("value", self.value.clone()),
        ];
        pair.into_iter().chain(self.options()).collect()
    }

    fn options(&self) -> Members {
        let content_type = self.content_type.as_deref();
        [
            self.if_revision.map(If::member),
            self.expiry.map(Expiry::member),
            content_type.map(|text| ("content_type", text.into())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl If {
    fn member(self) -> (&'static str, Value) {
        ("if_revision", self.number().into())
    }
}

impl Expiry {
    pub fn member(self) -> (&'static str, Value) {
        match self {
            Self::Ttl(seconds) => ("ttl", seconds.into()),
            Self::At(time) => ("expires_at", time.into()),
            Self::SoonTtl | Self::SoonAt => unreachable!("an expiry that was not resolved"),
        }
    }
}

impl Mode {
    pub fn member(self) -> (&'static str, Value) {
        let name = match self {
            Self::Insert => "insert",
            Self::Upsert => "upsert",
            Self::Replace => "replace",
        };
        ("mode", name.into())
    }
}

impl Compare {
    fn to_value(&self) -> Value {
        let with = match &self.with {
            With::Exists(exists) => ("exists", (*exists).into()),
            With::Revision(revision) => ("revision", revision.number().into()),
            With::Value(value) => ("value", value.clone()),
            With::CurrentValue => unreachable!("a value that was not resolved"),
        };
        map([("key", self.key.as_str().into()), with])
    }
}

impl Operation {
    fn to_value(&self) -> Value {
        let (name, members) = match self {
            Self::Put(put) => ("put", put.members()),
            Self::Get { key } => ("get", vec![key_member(key)]),
            Self::Delete { key, if_revision } => {
                let condition = if_revision.map(If::member);
                (
                    "delete",
                    [key_member(key)].into_iter().chain(condition).collect(),
                )
            }
            Self::Incr { key, by } => (
                "incr",
                [key_member(key)].into_iter().chain(by_member(by)).collect(),
            ),
        };
        map([("op", name.into())].into_iter().chain(members))
    }
}

impl List {
    fn members(&self) -> Members {
        let texts = [
            ("prefix", &self.prefix),
            ("from", &self.from),
            ("to", &self.to),
            ("after", &self.after),
        ];
        let flags = [("keys_only", self.keys_only), ("count", self.count)];
        texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.as_deref()?.into())))
            .chain(self.limit.map(|limit| ("limit", limit.into())))
            .chain(
                flags
                    .into_iter()
                    .filter_map(|(name, flag)| Some((name, flag?.into()))),
            )
            .collect()
    }
}

fn key_member(key: &str) -> (&'static str, Value) {
    ("key", key.into())
}

fn by_member(by: &Option<Value>) -> Option<(&'static str, Value)> {
    by.clone().map(|by| ("by", by))
}

fn atomic_member(atomic: bool) -> (&'static str, Value) {
    ("atomic", atomic.into())
}

/// One number, or a list of them.
fn if_members(revisions: &[If]) -> Members {
    match revisions {
        [] => Vec::new(),
        [one] => vec![one.member()],
        many => {
            let many = many.iter().map(|one| one.number().into()).collect();
            vec![("if_revision", Value::Array(many))]
        }
    }
}

fn key_to_delete((key, if_revision): &(String, Option<If>)) -> Value {
    match if_revision {
        None => key.as_str().into(),
        Some(revision) => map([key_member(key), revision.member()]),
    }
}
