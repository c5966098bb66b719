//! The commands that are sent, whatever the front.

mod members;

use rmpv::Value;

/// One command. Where something is left out, so is it in the request.
#[derive(Debug, Clone)]
pub enum Command {
    BatchGet {
        keys: Vec<String>,
        strict: bool,
    },
    BatchPut {
        pairs: Vec<Put>,
        mode: Option<Mode>,
        atomic: Option<bool>,
        expiry: Option<Expiry>,
    },
    BatchDelete {
        keys: Vec<(String, Option<If>)>,
        atomic: Option<bool>,
    },
    Txn {
        compare: Vec<Compare>,
        success: Vec<Operation>,
        failure: Vec<Operation>,
    },
    List(List),
    Incr {
        key: String,
        by: Option<Value>,
        expiry: Option<Expiry>,
    },
    /// `none_match` and `head` are HTTP's, and iproto leaves them out.
    PairGet {
        key: String,
        if_revision: Vec<If>,
        none_match: Vec<If>,
        head: bool,
    },
    /// The put has no `if_revision` of its own. One of 0 stands alone.
    PairPut {
        put: Put,
        if_revision: Vec<If>,
        mode: Option<Mode>,
    },
    PairDelete {
        key: String,
        if_revision: Vec<If>,
    },
    /// `POST /api/read`, `kv_get`.
    OldRead {
        keys: Vec<String>,
    },
    /// `POST /api/write`, `kv_put`. No key twice.
    OldWrite {
        pairs: Vec<(String, Value)>,
    },
}

#[derive(Debug, Clone)]
pub struct Put {
    pub key: String,
    pub value: Value,
    pub if_revision: Option<If>,
    pub expiry: Option<Expiry>,
    pub content_type: Option<String>,
}

/// A revision that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum If {
    Is(u64),
    /// That of the key at the time of sending: no more there once a command is sent.
    Current,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expiry {
    Ttl(f64),
    At(f64),
    /// In a moment, and waited for: no more there once a command is sent.
    SoonTtl,
    SoonAt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Insert,
    Upsert,
    Replace,
}

#[derive(Debug, Clone)]
pub struct Compare {
    pub key: String,
    pub with: With,
}

#[derive(Debug, Clone)]
pub enum With {
    Exists(bool),
    Revision(If),
    Value(Value),
    /// That of the key at the time of sending, written in another way: no more there once a command is sent.
    CurrentValue,
}

#[derive(Debug, Clone)]
pub enum Operation {
    Put(Put),
    Get {
        key: String,
    },
    Delete {
        key: String,
        if_revision: Option<If>,
    },
    Incr {
        key: String,
        by: Option<Value>,
    },
}

#[derive(Debug, Clone, Default)]
pub struct List {
    pub prefix: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub after: Option<String>,
    pub limit: Option<u64>,
    pub keys_only: Option<bool>,
    pub count: Option<bool>,
}

impl Put {
    pub fn plain(key: &str, value: impl Into<Value>) -> Self {
        Self {
            key: key.to_owned(),
            value: value.into(),
            if_revision: None,
            expiry: None,
            content_type: None,
        }
    }
}

impl If {
    /// Panics: where it was not resolved, which is a mistake of this program.
    pub fn number(self) -> u64 {
        match self {
            Self::Is(number) => number,
            Self::Current => unreachable!("a revision that was not resolved"),
        }
    }
}

impl Operation {
    pub fn key(&self) -> &str {
        match self {
            Self::Put(put) => &put.key,
            Self::Get { key } | Self::Delete { key, .. } | Self::Incr { key, .. } => key,
        }
    }
}

impl List {
    /// All that begin with `prefix`.
    pub fn of(prefix: &str) -> Self {
        Self {
            prefix: Some(prefix.to_owned()),
            ..Self::default()
        }
    }
}
