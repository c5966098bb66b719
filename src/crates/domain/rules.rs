//! The permissions of a role, compiled for look-ups: what they say together of a key is found by one binary search, however many
//! they are and whatever the login is. Pure; any thread.

use super::kinds::Kinds;
use super::{KeyRange, Pattern, Permission};
use authkv_base::error::AccessKind;
use std::collections::BTreeMap;

/// A pattern with more logins is looked at by itself, because [`Texts`] are as deep as patterns have logins, and so is the stack of who
/// looks there.
const LOGINS_MAX: usize = 16;

/// The permissions of one role.
#[derive(Debug)]
pub struct Rules {
    permissions: Vec<Permission>,
    texts: Texts,
    /// The patterns with more than [`LOGINS_MAX`] logins, which are not in `texts`.
    deep: Vec<(Pattern, Kinds)>,
    /// What is allowed with all keys.
    all: Kinds,
    has_login: bool,
}

impl Rules {
    pub fn new(permissions: Vec<Permission>) -> Self {
        let patterns: Vec<Pattern> = permissions.iter().map(Permission::pattern).collect();
        let has_login = patterns.iter().any(Pattern::has_login);
        let kinds = permissions.iter().map(Permission::kinds);
        let (deep, others): (Vec<_>, Vec<_>) = patterns
            .into_iter()
            .zip(kinds)
            .partition(|(pattern, _)| pattern.parts().len() > LOGINS_MAX + 1);
        let rests = others.iter().map(|(pattern, kinds)| Rest {
            parts: pattern.parts(),
            is_key: pattern.is_key,
            kinds: *kinds,
        });
        let texts = Texts::new(rests.collect(), Kinds::NONE);
        Self {
            all: texts.of_all(),
            has_login,
            texts,
            deep,
            permissions,
        }
    }

    pub fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// About the bytes of memory that this takes.
    pub fn size(&self) -> usize {
        let text = |one: &Permission| 2 * one.text().len() + 256;
        self.permissions.iter().map(text).sum()
    }

    pub fn has_login(&self) -> bool {
        self.has_login
    }

    /// What is allowed with all keys.
    pub fn all(&self) -> Kinds {
        self.all
    }

    /// What is allowed with a key, for a login as it stands in keys; empty for nobody.
    pub fn kinds(&self, key: &[u8], login: &[u8]) -> Kinds {
        let deep = self.deep.iter();
        let deep = deep.filter(|(pattern, _)| pattern.matches(key, login));
        deep.fold(self.texts.kinds(key, login), |all, (_, one)| all | *one)
    }

    /// Adds the ranges of keys with which `kind` is allowed, in no order.
    pub fn add_ranges(&self, kind: AccessKind, login: &[u8], to: &mut Vec<KeyRange>) {
        self.texts.add_ranges(kind, login, &mut Vec::new(), to);
        for (pattern, _) in self.deep.iter().filter(|(_, kinds)| kinds.has(kind)) {
            to.extend(pattern.fill(login).map(|text| match pattern.is_key {
                true => KeyRange::of_key(&text),
                false => KeyRange::of_prefix(&text),
            }));
        }
    }
}

/// What a pattern has after the texts and logins before.
struct Rest<'a> {
    /// At least one.
    parts: &'a [Box<[u8]>],
    is_key: bool,
    kinds: Kinds,
}

/// The texts with which patterns go on at one place, in order. A text that adds nothing to a shorter one with which it begins is left
/// out.
#[derive(Debug, Default)]
struct Texts {
    texts: Vec<Text>,
    /// How many bytes all of them have in common at their beginning.
    common: usize,
    /// What each has next, as [`head`] puts it: so most comparisons are of numbers.
    heads: Vec<u64>,
}

#[derive(Debug)]
struct Text {
    text: Box<[u8]>,
    /// What is allowed with all keys that go on so, by shorter texts too.
    prefix: Kinds,
    /// What is also allowed with the key that ends here.
    key: Kinds,
    /// The longest shorter text with which this one begins.
    shorter: Option<u32>,
    /// What follows a login after this text.
    after_login: Option<Texts>,
    /// The longest shorter text with which this one begins and after which a login may stand.
    shorter_with_login: Option<u32>,
}

impl Texts {
    /// `before`: what is allowed already with all keys that go on here.
    fn new(rests: Vec<Rest<'_>>, before: Kinds) -> Self {
        #[derive(Default)]
        struct Draft<'a> {
            prefix: Kinds,
            key: Kinds,
            after_login: Vec<Rest<'a>>,
        }
        let mut drafts: BTreeMap<&[u8], Draft> = BTreeMap::new();
        for Rest {
            parts,
            is_key,
            kinds,
        } in rests
        {
            let Some((text, parts)) = parts.split_first() else {
                continue;
            };
            let draft = drafts.entry(text).or_default();
            match (parts.is_empty(), is_key) {
                (true, true) => draft.key |= kinds,
                (true, false) => draft.prefix |= kinds,
                (false, _) => draft.after_login.push(Rest {
                    parts,
                    is_key,
                    kinds,
                }),
            }
        }
        let mut texts: Vec<Text> = Vec::with_capacity(drafts.len());
        // The places of the texts with which the next one may begin: each begins with the one before.
        let mut begun: Vec<u32> = Vec::new();
        for (text, draft) in drafts {
            while let Some(last) = begun.last() {
                if text.starts_with(&texts[*last as usize].text) {
                    break;
                }
                begun.pop();
            }
            let shorter = begun.last().copied();
            let of_shorter = shorter.map(|place| &texts[place as usize]);
            let inherited = of_shorter.map_or(before, |shorter| shorter.prefix);
            let prefix = inherited | draft.prefix;
            let after_login = Self::new(draft.after_login, prefix);
            let after_login = (!after_login.texts.is_empty()).then_some(after_login);
            if inherited.covers(prefix | draft.key) && after_login.is_none() {
                continue;
            }
            let shorter_with_login =
                of_shorter.and_then(|of_shorter| match of_shorter.after_login {
                    Some(_) => shorter,
                    None => of_shorter.shorter_with_login,
                });
            // There are at most some thousand permissions.
            begun.push(texts.len() as u32);
            texts.push(Text {
                text: text.into(),
                prefix,
                key: draft.key,
                shorter,
                after_login,
                shorter_with_login,
            });
        }
        let common = match (texts.first(), texts.last()) {
            (Some(first), Some(last)) => same(&first.text, &last.text),
            _ => 0,
        };
        let heads = texts.iter().map(|one| head(&one.text[common..]));
        Self {
            heads: heads.collect(),
            common,
            texts,
        }
    }

    /// What is allowed with all keys that go on here.
    fn of_all(&self) -> Kinds {
        let first = self.texts.first().filter(|first| first.text.is_empty());
        first.map_or(Kinds::NONE, |first| first.prefix)
    }

    fn kinds(&self, key: &[u8], login: &[u8]) -> Kinds {
        let Some(one) = self.longest(key) else {
            return Kinds::NONE;
        };
        let at = |place: u32| &self.texts[place as usize];
        let mut kinds = one.prefix;
        if one.text.len() == key.len() {
            kinds |= one.key;
        }
        if login.is_empty() {
            return kinds;
        }
        let mut with_login = Some(one);
        while let Some(one) = with_login {
            if let Some(after) = &one.after_login {
                if let Some(rest) = key[one.text.len()..].strip_prefix(login) {
                    kinds |= after.kinds(rest, login);
                }
            }
            with_login = one.shorter_with_login.map(at);
        }
        kinds
    }

    /// The longest text with which the key begins.
    fn longest(&self, key: &[u8]) -> Option<&Text> {
        let head = head(key.get(self.common..)?);
        let above = self.heads.partition_point(|one| *one <= head);
        let last = self.texts[..above].last()?;
        if key.starts_with(&last.text) {
            return Some(last);
        }
        if !key.starts_with(&last.text[..self.common]) {
            return None;
        }
        // Of several texts that go on alike, some may be above the key.
        let alike = self.heads[..above].partition_point(|one| *one < head);
        let alike = alike + self.texts[alike..above].partition_point(|one| *one.text <= *key);
        // The longest one is the last one that is not above the key, or one with which that begins.
        let mut one = self.texts[..alike].last()?;
        let same = same(&one.text, key);
        while one.text.len() > same {
            one = &self.texts[one.shorter? as usize];
        }
        Some(one)
    }

    /// `start` is what stands before; it is left as it was.
    fn add_ranges(
        &self,
        kind: AccessKind,
        login: &[u8],
        start: &mut Vec<u8>,
        to: &mut Vec<KeyRange>,
    ) {
        let before = start.len();
        for one in &self.texts {
            start.extend_from_slice(&one.text);
            let shorter = one.shorter.map(|place| &self.texts[place as usize]);
            if shorter.is_some_and(|shorter| shorter.prefix.has(kind)) {
                // Its keys are in the range of the shorter one.
            } else if one.prefix.has(kind) {
                to.push(KeyRange::of_prefix(start));
            } else if (one.prefix | one.key).has(kind) {
                to.push(KeyRange::of_key(start));
            }
            let after = one.after_login.as_ref().filter(|_| !login.is_empty());
            if let Some(after) = after.filter(|_| !one.prefix.has(kind)) {
                start.extend_from_slice(login);
                after.add_ranges(kind, login, start, to);
            }
            start.truncate(before);
        }
    }
}

/// How many bytes two texts have in common at their beginning.
fn same(one: &[u8], other: &[u8]) -> usize {
    one.iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

/// The first eight bytes, or fewer, as a number. A text with a lower number is below another one.
fn head(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => (0..8).fold(0, |head, at| {
            head << 8 | u64::from(*text.get(at).unwrap_or(&0))
        }),
    }
}

#[cfg(test)]
#[path = "rules/tests.rs"]
mod tests;
