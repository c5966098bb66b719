//! A small cache from tokens to values that needs no digest of the token. Pure.

use zeroize::Zeroizing;

/// The most tokens in the cache.
const SLOTS: usize = 1 << SLOTS_LOG2;
const SLOTS_LOG2: u32 = 6;

/// Values by token. Each token has one slot and replaces the token that was in it.
pub struct Recent<T> {
    slots: Vec<Option<Slot<T>>>,
}

struct Slot<T> {
    end: u128,
    token: Zeroizing<String>,
    value: T,
}

impl<T> Recent<T> {
    /// An empty cache.
    pub const EMPTY: Self = Self { slots: Vec::new() };

    /// The value of a token. The time it takes reveals nothing about other tokens: it first compares the end of the signature,
    /// as one number.
    pub fn get(&self, token: &str) -> Option<&T> {
        let end = end(token)?;
        let slot = self.slots.get(place(end))?.as_ref()?;
        (slot.end == end && slot.token.as_str() == token).then_some(&slot.value)
    }

    /// Stores a value, unless the token is too short to be valid.
    pub fn put(&mut self, token: &str, value: T) {
        let Some(end) = end(token) else { return };
        self.slots.resize_with(SLOTS, || None);
        self.slots[place(end)] = Some(Slot {
            end,
            token: token.to_owned().into(),
            value,
        });
    }
}

/// The last bytes of a token: enough of them that nobody can guess them.
fn end(token: &str) -> Option<u128> {
    token
        .as_bytes()
        .last_chunk()
        .copied()
        .map(u128::from_le_bytes)
}

fn place(end: u128) -> usize {
    const MIX: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    (end.wrapping_mul(MIX) >> (u128::BITS - SLOTS_LOG2)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_all_of_its_bytes() {
        let mut recent = Recent::EMPTY;
        let end = "0123456789abcdef";
        assert_eq!(recent.get(end), None);
        recent.put(&format!("a{end}"), 1);
        assert_eq!(recent.get(&format!("a{end}")), Some(&1));
        for other in [
            format!("b{end}"),
            format!("aa{end}"),
            end.to_owned(),
            format!("a{end}g"),
        ] {
            assert_eq!(recent.get(&other), None, "{other}");
        }
        recent.put(&format!("b{end}"), 2);
        assert_eq!(recent.get(&format!("a{end}")), None);
        recent.put("short", 3);
        assert_eq!(recent.get("short"), None);
    }

    #[test]
    fn there_are_not_more_than_have_a_place() {
        let mut recent = Recent::EMPTY;
        let tokens: Vec<String> = (0..1000).map(|i| format!("{i:040}")).collect();
        for token in &tokens {
            recent.put(token, ());
        }
        let kept = tokens.iter().filter(|token| recent.get(token).is_some());
        assert!((SLOTS / 2..=SLOTS).contains(&kept.count()));
    }
}
