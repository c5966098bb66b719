//! Quotas: how many pairs and bytes there may be below a prefix of keys. Pure; any thread.

/// The quota of a prefix, or of each prefix of a pattern.
///
/// In a pattern, `*` stands for one segment of a key: one or more bytes without `/`. `users/*/` gives `users/alice/` and
/// `users/bob/` the same quota each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The prefix or the pattern, as it is written.
    pub pattern: String,
    /// The most pairs; `None` if there is no limit.
    pub pairs: Option<u64>,
    /// The most bytes of their keys, values and content types in msgpack; `None` if there is no limit.
    pub bytes: Option<u64>,
    /// The place of `*` in the pattern.
    star: Option<usize>,
}

impl Quota {
    /// The allowed texts in words.
    pub const ALLOWED: &str = "prefix:pairs:bytes like users/*/:1000:1048576, with numbers or unlimited, and commas between several, or none; / follows a *";

    /// Reads `prefix:pairs:bytes`. `None` for other texts.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ':');
        let mut number = || match parts.next()? {
            "unlimited" => Some(None),
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Some),
            _ => None,
        };
        let (bytes, pairs) = (number()?, number()?);
        let pattern = parts.next()?;
        let star = pattern.find('*');
        let is_sound = star.is_none_or(|star| {
            let rest = &pattern[star + 1..];
            rest.starts_with('/') && !rest.contains('*')
        });
        is_sound.then(|| Self {
            pattern: pattern.to_owned(),
            pairs,
            bytes,
            star,
        })
    }

    /// The part of the pattern before the `*`: all its keys begin with it.
    pub fn stem(&self) -> &str {
        &self.pattern[..self.star.unwrap_or(self.pattern.len())]
    }

    /// Whether the pattern stands for many prefixes.
    pub fn has_many(&self) -> bool {
        self.star.is_some()
    }

    /// The beginning of the key that is the prefix whose quota counts for it; `None` if this quota does not concern the key.
    pub fn prefix_of<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let stem = self.stem().as_bytes();
        let rest = key.strip_prefix(stem)?;
        let Some(star) = self.star else {
            return Some(&key[..stem.len()]);
        };
        let segment = rest.iter().position(|byte| *byte == b'/')?;
        let end = &self.pattern.as_bytes()[star + 1..];
        let length = stem.len() + segment + end.len();
        (segment > 0 && rest[segment..].starts_with(end)).then(|| &key[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_prefix_and_two_numbers() {
        for (text, parts) in [
            ("a/:1:2", Some(("a/", Some(1), Some(2)))),
            (":0:unlimited", Some(("", Some(0), None))),
            ("a:b:unlimited:7", Some(("a:b", None, Some(7)))),
            ("users/*/:1:2", Some(("users/*/", Some(1), Some(2)))),
            ("*/files/:1:2", Some(("*/files/", Some(1), Some(2)))),
            ("a/:1", None),
            ("a/:1:", None),
            ("a/:-1:2", None),
            ("a/:+1:2", None),
            ("a/:x:2", None),
            ("users/*:1:2", None),
            ("users/*x/:1:2", None),
            ("users/*/*/:1:2", None),
            ("a/:1:99999999999999999999", None),
        ] {
            let quota = Quota::parse(text);
            let found = quota.as_ref();
            let found = found.map(|quota| (&*quota.pattern, quota.pairs, quota.bytes));
            assert_eq!(found, parts, "{text}");
        }
    }

    #[test]
    fn a_key_counts_for_its_prefix() {
        for (pattern, key, prefix) in [
            ("", "", Some("")),
            ("", "a", Some("")),
            ("a/", "a/b", Some("a/")),
            ("a/", "a/", Some("a/")),
            ("a/", "a", None),
            ("a/", "b/a/", None),
            ("users/*/", "users/alice/x/y", Some("users/alice/")),
            ("users/*/", "users/alice/", Some("users/alice/")),
            ("users/*/", "users/alice", None),
            ("users/*/", "users//x", None),
            ("users/*/", "user/alice/x", None),
            ("users/*/f/", "users/alice/f/x", Some("users/alice/f/")),
            ("users/*/f/", "users/alice/g/x", None),
            ("*/", "tmp/x", Some("tmp/")),
        ] {
            let quota = Quota::parse(&format!("{pattern}:1:1")).unwrap();
            let found = quota.prefix_of(key.as_bytes());
            assert_eq!(found, prefix.map(str::as_bytes), "{pattern} {key}");
        }
    }
}
