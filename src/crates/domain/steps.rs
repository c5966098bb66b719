//! The steps of one transaction on pairs, encoded once. Pure; any thread.
//!
//! Every write of the key-value store is a list of steps: a batch, a counter, a single pair, a branch of a transaction.

use super::{write_lookup, Expiry, Limits};
use authkv_base::error::{AccessKind, Error};
use authkv_codec::msgpack::write_str;

/// Steps in order, with the bytes of their keys and values.
#[derive(Debug, PartialEq, Eq)]
pub struct Steps {
    bytes: Vec<u8>,
    steps: Vec<Step>,
    /// If one step fails, none is taken.
    pub atomic: bool,
}

/// One step, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    key: Span,
    pub action: Action,
    /// The condition on the revision of the pair.
    pub if_revision: IfRevision,
}

/// What a step does to the pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Get,
    Put {
        mode: Mode,
        content: Content,
    },
    Delete,
    /// `content` is for a new key; it has no value.
    Increment {
        by: i128,
        content: Content,
    },
}

impl Action {
    /// Whether the step succeeds although it does nothing because there is a pair.
    pub fn accepts_existing(&self) -> bool {
        let Action::Put { mode, .. } = self else {
            return false;
        };
        *mode == Mode::Fill
    }

    /// Whether the step succeeds although it does nothing because there is no pair.
    pub fn accepts_missing(&self) -> bool {
        match self {
            Action::Get | Action::Delete => true,
            Action::Put { .. } | Action::Increment { .. } => false,
        }
    }
}

impl Step {
    /// The permissions that the step needs, by what it can do to the pair, whether or not there is one.
    pub fn permissions(&self) -> &'static [AccessKind] {
        use AccessKind::{Delete, Insert, Read, Update};
        let Action::Put { mode, content } = &self.action else {
            return match self.action {
                Action::Get => &[Read],
                Action::Delete => &[Delete],
                Action::Increment { .. } | Action::Put { .. } => &[Read, Insert, Update],
            };
        };
        let (inserts, updates) = match mode {
            Mode::Fill | Mode::Insert => (true, false),
            Mode::Replace => (false, true),
            Mode::Upsert => self.if_revision.sides(),
        };
        // A value that expires is a deletion. Whoever makes a key says how long it lives.
        match (inserts, updates, content.expiry.is_some()) {
            (true, false, _) => &[Insert],
            (false, _, false) => &[Update],
            (false, _, true) => &[Update, Delete],
            (true, true, false) => &[Insert, Update],
            (true, true, true) => &[Insert, Update, Delete],
        }
    }
}

/// Which keys a put may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// New keys. For the contract: an existing key is skipped without an error.
    Fill,
    /// New keys.
    Insert,
    #[default]
    Upsert,
    /// Existing keys.
    Replace,
}

impl Mode {
    /// The modes that a client can choose by name.
    const NAMED: [(&'static str, Mode); 3] = [
        ("insert", Mode::Insert),
        ("upsert", Mode::Upsert),
        ("replace", Mode::Replace),
    ];

    /// Errors: `BadOption`.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        let mode = Self::NAMED.into_iter().find(|(known, _)| *known == name);
        mode.map(|(_, mode)| mode).ok_or(Error::BadOption {
            name: "mode",
            allowed: "insert, upsert or replace",
        })
    }

    /// The name of the mode, if it has one.
    pub fn name(self) -> Option<&'static str> {
        let mut named = Self::NAMED.into_iter();
        named.find_map(|(name, mode)| (mode == self).then_some(name))
    }
}

/// A condition on the revision of a pair. The revision of a missing pair is 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum IfRevision {
    #[default]
    Any,
    Is(u64),
    IsOneOf(Box<[u64]>),
}

impl IfRevision {
    /// Whether it can hold if there is no pair, and if there is one.
    fn sides(&self) -> (bool, bool) {
        match self {
            IfRevision::Any => (true, true),
            IfRevision::Is(one) => (*one == 0, *one != 0),
            IfRevision::IsOneOf(all) => {
                let sides = (all.contains(&0), all.iter().any(|one| *one != 0));
                // It never holds.
                if all.is_empty() {
                    (true, true)
                } else {
                    sides
                }
            }
        }
    }

    pub fn allows(&self, revision: u64) -> bool {
        match self {
            IfRevision::Any => true,
            IfRevision::Is(one) => *one == revision,
            IfRevision::IsOneOf(all) => all.contains(&revision),
        }
    }
}

/// The parts of a pair other than its key and revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    value: Span,
    pub expiry: Option<Expiry>,
    /// A string in msgpack; empty if there is none.
    content_type: Span,
}

/// The parts of a pair before they are copied into [`Steps`]. The value is in msgpack.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewContent<'a> {
    pub value: &'a [u8],
    pub expiry: Option<Expiry>,
    pub content_type: Option<&'a str>,
}

/// A range of the bytes in [`Steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Steps {
    pub fn new(atomic: bool) -> Self {
        Self {
            bytes: Vec::new(),
            steps: Vec::new(),
            atomic,
        }
    }

    /// Makes an empty list with room for `count` steps of `size` bytes in all.
    pub fn with_capacity(atomic: bool, count: usize, size: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(size),
            steps: Vec::with_capacity(count),
            atomic,
        }
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }

    /// Whether all steps only read.
    pub fn only_read(&self) -> bool {
        self.iter().all(|step| step.action == Action::Get)
    }

    /// Whether no step writes a pair.
    pub fn only_shrink(&self) -> bool {
        let shrinks = |step: &Step| matches!(step.action, Action::Get | Action::Delete);
        self.iter().all(shrinks)
    }

    /// The key of a step, as a one-element msgpack array.
    pub fn key(&self, step: &Step) -> &[u8] {
        self.slice(step.key)
    }

    pub fn value(&self, content: &Content) -> &[u8] {
        self.slice(content.value)
    }

    /// A string in msgpack; empty if there is none.
    pub fn content_type(&self, content: &Content) -> &[u8] {
        self.slice(content.content_type)
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }

    /// Adds a step for a key of any length.
    pub fn push(
        &mut self,
        key: &[u8],
        if_revision: IfRevision,
        action: impl FnOnce(&mut Self) -> Action,
    ) {
        let key = self.keep(|bytes| write_lookup(bytes, key));
        let action = action(self);
        self.steps.push(Step {
            key,
            action,
            if_revision,
        });
    }

    /// Adds a put. Errors: `BadKey`.
    pub fn push_put(
        &mut self,
        limits: &Limits,
        key: &[u8],
        mode: Mode,
        if_revision: IfRevision,
        content: NewContent<'_>,
    ) -> Result<(), Error> {
        limits.check_key(key, mode)?;
        self.push(key, if_revision, |steps| Action::Put {
            mode,
            content: steps.content(content),
        });
        Ok(())
    }

    /// Adds an increment. Errors: `BadKey`.
    pub fn push_increment(
        &mut self,
        limits: &Limits,
        key: &[u8],
        by: i128,
        expiry: Option<Expiry>,
    ) -> Result<(), Error> {
        limits.check_key(key, Mode::Upsert)?;
        self.push(key, IfRevision::Any, |steps| Action::Increment {
            by,
            content: steps.content(NewContent {
                expiry,
                ..NewContent::default()
            }),
        });
        Ok(())
    }

    fn content(&mut self, content: NewContent<'_>) -> Content {
        Content {
            value: self.keep(|bytes| bytes.extend_from_slice(content.value)),
            expiry: content.expiry,
            content_type: self.keep(|bytes| {
                if let Some(text) = content.content_type {
                    write_str(bytes, text.as_bytes());
                }
            }),
        }
    }

    fn keep(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.bytes.len() as u32;
        write(&mut self.bytes);
        Span {
            start,
            end: self.bytes.len() as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_needs_what_it_can_do() {
        use AccessKind::{Delete, Insert, Update};
        let limits = Limits { batch: 1, key: 9 };
        let some = |all: &[u64]| IfRevision::IsOneOf(all.into());
        for (mode, if_revision, expires, needed) in [
            (Mode::Fill, IfRevision::Any, true, &[Insert][..]),
            (Mode::Insert, IfRevision::Any, false, &[Insert]),
            (Mode::Insert, IfRevision::Is(5), false, &[Insert]),
            (Mode::Replace, IfRevision::Any, false, &[Update]),
            (Mode::Replace, IfRevision::Is(0), true, &[Update, Delete]),
            (Mode::Upsert, IfRevision::Any, false, &[Insert, Update]),
            (
                Mode::Upsert,
                IfRevision::Any,
                true,
                &[Insert, Update, Delete],
            ),
            (Mode::Upsert, IfRevision::Is(0), true, &[Insert]),
            (Mode::Upsert, IfRevision::Is(5), false, &[Update]),
            (Mode::Upsert, some(&[5, 6]), true, &[Update, Delete]),
            (Mode::Upsert, some(&[0, 6]), false, &[Insert, Update]),
            (Mode::Upsert, some(&[0]), false, &[Insert]),
            (Mode::Upsert, some(&[]), false, &[Insert, Update]),
        ] {
            let expiry = expires.then(|| Expiry::from_ms(1));
            let content = NewContent {
                expiry,
                ..NewContent::default()
            };
            let mut steps = Steps::new(true);
            steps
                .push_put(&limits, b"k", mode, if_revision.clone(), content)
                .unwrap();
            let seen: Vec<_> = steps.iter().map(Step::permissions).collect();
            assert_eq!(seen, [needed], "{mode:?} {if_revision:?} {expires}");
        }
    }
}
