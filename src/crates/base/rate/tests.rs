use super::*;
use std::sync::atomic::AtomicUsize;
use std::sync::Arc;

fn buckets(quota: u64, window: u64) -> Buckets {
    Buckets::new(Rate { quota, window })
}

#[test]
fn a_rate_is_two_numbers() {
    for (text, rate) in [
        ("600/60", Some((600, 60))),
        ("1/1", Some((1, 1))),
        ("1000000000/86400", Some((1_000_000_000, 86_400))),
        ("0/60", None),
        ("1/0", None),
        ("1000000001/1", None),
        ("1/86401", None),
        ("600", None),
        ("+6/60", None),
        ("6/60/1", None),
        (" 6/60", None),
        ("/", None),
    ] {
        let rate = rate.map(|(quota, window)| Rate { quota, window });
        assert_eq!(Rate::parse(text), rate, "{text}");
    }
}

#[test]
fn a_bucket_gives_its_tokens_at_once_and_then_one_after_another() {
    let buckets = buckets(3, 30);
    for left in [2, 1, 0] {
        assert_eq!(buckets.take_at(7, 0), Ok(()));
        let state = buckets.left_at(7, 0);
        assert_eq!((state.tokens, state.more_in), (left, 10));
    }
    assert_eq!(buckets.take_at(7, 0), Err(10));
    assert_eq!(buckets.take_at(7, 9 * SECOND), Err(1));
    assert_eq!(
        buckets.left_at(7, 9 * SECOND),
        Left {
            tokens: 0,
            more_in: 1
        }
    );
    assert_eq!(buckets.take_at(7, 10 * SECOND), Ok(()));
    assert_eq!(buckets.take_at(7, 10 * SECOND), Err(10));
    // It does not hold more than its quota.
    for _ in 0..3 {
        assert_eq!(buckets.take_at(7, 1000 * SECOND), Ok(()));
    }
    assert_eq!(buckets.take_at(7, 1000 * SECOND), Err(10));
    // Another key has another bucket.
    assert_eq!(buckets.take_at(8, 1000 * SECOND), Ok(()));
}

#[test]
fn a_refusal_takes_nothing() {
    let buckets = buckets(1, 10);
    assert_eq!(buckets.take_at(7, 0), Ok(()));
    for _ in 0..100 {
        assert_eq!(buckets.take_at(7, 5 * SECOND), Err(5));
    }
    assert_eq!(buckets.take_at(7, 10 * SECOND), Ok(()));
}

#[test]
fn a_full_bucket_is_as_good_as_none() {
    let buckets = buckets(5, 10);
    let full = Left {
        tokens: 5,
        more_in: 0,
    };
    assert_eq!(buckets.left_at(7, 0), full);
    assert_eq!(buckets.take_at(7, 0), Ok(()));
    assert_eq!(
        buckets.left_at(7, 1),
        Left {
            tokens: 4,
            more_in: 2
        }
    );
    assert_eq!(buckets.left_at(7, 2 * SECOND), full);
}

#[test]
fn the_longest_and_the_highest_rate_do_not_overflow() {
    let most = buckets(SECOND, 86_400);
    let least = buckets(1, 86_400);
    let late = 100 * 365 * 86_400 * SECOND;
    for now in [0, late] {
        assert_eq!(most.take_at(7, now), Ok(()));
        assert_eq!(least.take_at(7, now), Ok(()));
        assert_eq!(least.take_at(7, now), Err(86_400));
    }
}

#[test]
fn a_flood_of_keys_forgets_those_who_asked_least() {
    let buckets = buckets(3, 60);
    for _ in 0..3 {
        assert_eq!(buckets.take_at(7, 0), Ok(()));
    }
    // As many keys as there are places, twice, each of which asks once: among them some in the places of the key.
    for other in 1..2 * BUCKETS as u64 {
        let key = other << 32 | other;
        assert_eq!(buckets.take_at(key, 0), Ok(()), "{other}");
    }
    assert_eq!(buckets.places.len(), BUCKETS);
    assert!(
        buckets.take_at(7, 0).is_err(),
        "who has asked most is still known"
    );
    // Eight others who have asked as often fill the places, so that the next of them all begins anew.
    let same_places = |n: u64| 7 + n * (BUCKETS / PLACES) as u64;
    for n in 1..=8 {
        for _ in 0..3 {
            let _ = buckets.take_at(same_places(n), SECOND);
        }
    }
    assert_eq!(buckets.take_at(7, SECOND), Ok(()), "it was forgotten");
}

#[test]
fn threads_that_meet_a_new_key_at_once_share_its_bucket() {
    const KEYS: u64 = 3_000;
    const THREADS: usize = 2;
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    static ADMITTED: AtomicUsize = AtomicUsize::new(0);
    let buckets = Arc::new(buckets(1, 86_400));
    // All threads take from a key before any takes from the next one.
    let start = |_| {
        let buckets = buckets.clone();
        let admitted = move |key: u64| {
            ARRIVED.fetch_add(1, Ordering::Relaxed);
            while ARRIVED.load(Ordering::Relaxed) < key as usize * THREADS {
                std::thread::yield_now();
            }
            // Keys spread over the table as hashes do, so that none is forgotten.
            buckets.take_at(key, 0).is_ok()
        };
        let work = move || {
            let admitted = (1..=KEYS).filter(|key| admitted(*key)).count();
            ADMITTED.fetch_add(admitted, Ordering::Relaxed);
        };
        crate::threads::spawn("take".to_owned(), work).unwrap()
    };
    let threads: Vec<_> = (0..THREADS).map(start).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(ADMITTED.load(Ordering::Relaxed), KEYS as usize);
}
