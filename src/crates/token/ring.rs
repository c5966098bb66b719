//! The ring of keys at one moment: the keys that verify, and the one that signs. Pure; any thread.

use super::key::{Jwk, PublicKey};
use jsonwebtoken::{DecodingKey, EncodingKey};

/// The keys of an instance.
#[derive(Default)]
pub struct Ring(Vec<RingKey>);

/// A key, and when it is used. Times are seconds since 1970-01-01 UTC.
pub struct RingKey {
    pub public: PublicKey,
    pub verifying: DecodingKey,
    /// The private half, if this instance has it.
    pub signing: Option<EncodingKey>,
    pub signs_from: u64,
    /// The number of the last change. A key that is made later has a higher number.
    pub number: u64,
    /// `None` while it is unknown when the last of its tokens expires.
    pub verifies_until: Option<u64>,
}

impl RingKey {
    /// Makes a key that is used at any time.
    pub fn permanent(public: PublicKey, signing: Option<EncodingKey>) -> Self {
        Self {
            verifying: public.decoding_key(),
            public,
            signing,
            signs_from: 0,
            number: 0,
            verifies_until: None,
        }
    }

    fn verifies(&self, time: u64) -> bool {
        self.verifies_until.is_none_or(|until| time < until)
    }
}

impl Ring {
    pub fn new(keys: Vec<RingKey>) -> Self {
        Self(keys)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key with this id, if it verifies at `time`.
    pub fn find(&self, kid: &str, time: u64) -> Option<(&PublicKey, &DecodingKey)> {
        let key = self.0.iter().find(|key| key.public.id() == kid)?;
        key.verifies(time).then_some((&key.public, &key.verifying))
    }

    /// The key that signs at `time`: the newest one that has a private half and has begun. If none has begun, the clock was set
    /// back: then `last`, the id of the key that has signed last, or the first key that is to sign.
    pub fn signer(&self, time: u64, last: Option<&str>) -> Option<(&PublicKey, &EncodingKey)> {
        let held = || {
            let held = self.0.iter().filter(|key| key.verifies(time));
            held.filter_map(|key| Some((key, key.signing.as_ref()?)))
        };
        let begun = held().filter(|(key, _)| key.signs_from <= time);
        begun
            .max_by_key(|(key, _)| key.number)
            .or_else(|| held().find(|(key, _)| Some(key.public.id()) == last))
            .or_else(|| held().min_by_key(|(key, _)| (key.signs_from, key.number)))
            .map(|(key, signing)| (&key.public, signing))
    }

    /// The keys that verify at `time`.
    pub fn published(&self, time: u64) -> impl Iterator<Item = &PublicKey> {
        let keys = self.0.iter().filter(move |key| key.verifies(time));
        keys.map(|key| &key.public)
    }

    /// The keys that verify at `time`, as a JSON Web Key Set (RFC 7517 §5).
    pub fn key_set(&self, time: u64) -> Vec<Jwk> {
        self.published(time).map(PublicKey::jwk).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{Algorithm, PrivateKey};
    use super::*;

    #[test]
    fn the_latest_key_whose_time_has_come_signs() {
        let mut ids = Vec::new();
        let keys = [(0, Some(50)), (10, None), (20, None)].map(|(signs_from, verifies_until)| {
            let key = PrivateKey::make(Algorithm::EdDSA).unwrap();
            ids.push(key.public().id().to_owned());
            RingKey {
                public: key.public().clone(),
                verifying: key.public().decoding_key(),
                signing: (signs_from < 20).then(|| key.encoding_key()),
                signs_from,
                number: signs_from,
                verifies_until,
            }
        });
        let ring = Ring::new(keys.into());
        let signer = |time| ring.signer(time, None).map(|(key, _)| key.id().to_owned());
        assert_eq!(signer(9).as_ref(), Some(&ids[0]));
        assert_eq!(signer(10).as_ref(), Some(&ids[1]));
        // The last key has no private half.
        assert_eq!(signer(30).as_ref(), Some(&ids[1]));
        assert!(ring.find(&ids[2], 0).is_some());
        assert!(ring.find(&ids[0], 49).is_some());
        assert!(ring.find(&ids[0], 50).is_none());
        assert!(ring.find("../../etc/passwd", 0).is_none());
        assert_eq!(ring.key_set(50).len(), 2);
    }

    #[test]
    fn a_key_signs_though_the_clock_was_set_back_before_all_of_them() {
        let mut ids = Vec::new();
        let times = [(90, Some(0)), (100, Some(900)), (120, None), (200, None)];
        let keys = times.map(|(signs_from, verifies_until)| {
            let key = PrivateKey::make(Algorithm::EdDSA).unwrap();
            ids.push(key.public().id().to_owned());
            RingKey {
                public: key.public().clone(),
                verifying: key.public().decoding_key(),
                signing: Some(key.encoding_key()),
                signs_from,
                number: signs_from,
                verifies_until,
            }
        });
        let ring = Ring::new(keys.into());
        let signer = |time, last: Option<&String>| {
            let last = last.map(String::as_str);
            let (key, _) = ring.signer(time, last).unwrap();
            ids.iter().position(|id| id == key.id()).unwrap()
        };
        assert_eq!(signer(150, None), 2);
        // The first key was retired.
        assert_eq!(signer(50, None), 1);
        for last in [1, 2] {
            assert_eq!(signer(50, Some(&ids[last])), last);
        }
        assert_eq!(signer(50, Some(&ids[0])), 1);
        assert_eq!(signer(110, Some(&ids[2])), 1);
    }
}
