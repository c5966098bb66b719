//! What is asked for of the keys in their order, and of their changes. Pure; any thread.

use std::time::Duration;

/// The part of the keys that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub range: KeyRange,
    /// It begins after this key.
    pub after: Option<String>,
    pub what: What,
}

/// What is told of each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Pairs, at most so many.
    Pairs(usize),
    /// Keys, at most so many.
    Keys(usize),
    /// How many there are.
    Count,
    /// The same of all keys, those that have expired and were not removed included, for one who may read them all.
    Total,
}

/// Keys from one on and before another, in the order of their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRange {
    pub from: Vec<u8>,
    /// None where there is no end.
    pub to: Option<Vec<u8>>,
}

/// Which changes are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watching {
    pub prefix: String,
    /// Those with higher revisions; those from now on where it is none.
    pub after: Option<u64>,
    /// How long to wait where there are none.
    pub timeout: Duration,
}

impl KeyRange {
    /// The keys that begin with `prefix`.
    pub fn of_prefix(prefix: &[u8]) -> Self {
        // The first key behind them all: the last byte that can be higher, one higher.
        let last = prefix.iter().rposition(|byte| *byte < 0xff);
        let to = last.map(|last| {
            let mut to = prefix[..=last].to_vec();
            to[last] += 1;
            to
        });
        Self {
            from: prefix.to_vec(),
            to,
        }
    }

    /// The keys that are in both.
    pub fn and(&self, other: &Self) -> Self {
        let to = match (&self.to, &other.to) {
            (Some(one), Some(two)) => Some(one.min(two).clone()),
            (one, two) => one.as_ref().or(two.as_ref()).cloned(),
        };
        Self {
            from: self.from.as_slice().max(&other.from).to_vec(),
            to,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    /// Whether a key comes before the end.
    pub fn reaches(&self, key: &[u8]) -> bool {
        self.to.as_deref().is_none_or(|to| key < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &[u8], to: Option<&[u8]>) -> KeyRange {
        KeyRange {
            from: from.to_vec(),
            to: to.map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn a_prefix_is_a_range() {
        for (prefix, to) in [
            (b"" as &[u8], None),
            (b"a", Some(b"b" as &[u8])),
            (b"ab", Some(b"ac")),
            (b"a\xff\xff", Some(b"b")),
            (b"\xff", None),
        ] {
            assert_eq!(KeyRange::of_prefix(prefix), range(prefix, to));
        }
    }

    #[test]
    fn two_ranges_have_a_part_in_common() {
        let both = range(b"b", None).and(&range(b"a", Some(b"c")));
        assert_eq!(both, range(b"b", Some(b"c")));
        assert!(both.reaches(b"bz") && !both.reaches(b"c") && !both.is_empty());
        assert!(both.and(&range(b"x", None)).is_empty());
        assert!(!KeyRange::default().is_empty());
    }
}
