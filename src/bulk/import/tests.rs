//! The outcomes of lines, if all commands are executed.

use super::*;
use authkv_base::error::KeyRule;
use authkv_domain::{Expiry, Steps};
use std::collections::BTreeMap;

fn import(settings: &[(&str, &str)]) -> Import {
    let settings = settings.iter();
    let settings: BTreeMap<_, _> = settings
        .map(|(name, text)| (name.to_string(), text.to_string()))
        .collect();
    let config = Config::new(settings).unwrap();
    Import::new(&config, Types::of_version(2, 6), None, Mode::default(), 1)
}

/// The answer if all steps succeed, or the rule that they break.
fn execute(command: Command) -> Result<(usize, Outcome), Error> {
    let Command::BatchPut(steps) = command else {
        panic!("another command");
    };
    let steps: Steps = steps?;
    let mut answer = b"\x82\xa8revision\x07\xa7results".to_vec();
    rmp::encode::write_array_len(&mut answer, steps.len() as u32).unwrap();
    for _ in 0..steps.len() {
        answer.extend_from_slice(b"\x81\xa7outcome\xa7written");
    }
    let outcome = Outcome::Applied {
        members: answer,
        revision: 7,
    };
    Ok((steps.len(), outcome))
}

/// How many pairs each command wrote, and how the import ended.
fn run(import: &mut Import, pieces: &[&str]) -> (Vec<usize>, Option<Failure>) {
    let mut written = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        import.push(piece.as_bytes());
        let is_last = i + 1 == pieces.len();
        if is_last {
            import.end();
        }
        loop {
            let command = match import.next(is_last) {
                Ok(Some(command)) => command,
                Ok(None) => break,
                Err(failure) => return (written, Some(failure)),
            };
            let result = execute(command.command);
            written.extend(result.as_ref().map(|(count, _)| *count));
            if let Err(failure) = import.done(result.map(|(_, outcome)| outcome)) {
                return (written, Some(failure));
            }
        }
    }
    (written, None)
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    let line = |n| format!("{{\"key\":\"k{n}\",\"value\":[{n}],\"revision\":7}}\n");
    numbers.map(line).collect()
}

#[test]
fn lines_are_written_in_batches() {
    let (one, two) = (lines(0..700), lines(700..2100));
    let mut all = import(&[]);
    let batches = run(&mut all, &[&one, &two]);
    assert_eq!(batches, (vec![1000, 1000, 100], None));
    assert_eq!((all.counts().lines, all.counts().written), (2100, 2100));
    let mut few = import(&[("BATCH_MAX", "300")]);
    assert_eq!(run(&mut few, &[&one]), (vec![300, 300, 100], None));
    // A repeated key starts the next batch.
    let again = [lines(0..3), lines(2..4), lines(0..1)].concat();
    assert_eq!(run(&mut import(&[]), &[&again]), (vec![3, 3], None));
    let large = format!("{{\"key\":\"a\",\"value\":\"{}\"}}\n", "x".repeat(700_000));
    let large = large.clone() + &large.replace("\"a\"", "\"b\"");
    assert_eq!(run(&mut import(&[]), &[&large]), (vec![1, 1], None));
}

#[test]
fn a_line_that_is_wrong_is_named_and_those_before_it_are_written() {
    let failure = |error: Error, line| Some((error.row().name, Some(line)));
    for (wrong, error) in [
        ("{\"key\":1,\"value\":1}", Error::malformed("")),
        ("x", Error::malformed("")),
        (
            "{\"key\":\"\",\"value\":1}",
            Error::BadKey(KeyRule::Length { limit: 1024 }),
        ),
        (
            "{\"key\":\"a\",\"value\":{\"$uuid\":1}}",
            Error::BadValue(""),
        ),
    ] {
        let text = [&lines(0..2), "\n", wrong, "\n", &lines(2..9)].concat();
        let mut import = import(&[]);
        let (written, found) = run(&mut import, &[&text]);
        assert_eq!(written.iter().sum::<usize>(), 2, "{wrong}");
        let found = found.map(|found| (found.error.row().name, found.line));
        assert_eq!(found, failure(error, 4), "{wrong}");
        assert_eq!(import.counts().written, 2);
    }
}

#[test]
fn what_was_read_is_written_before_it_is_said_why_no_more_came() {
    let mut import = import(&[]);
    import.push((lines(0..5) + "{\"key\":\"cut\",\"val").as_bytes());
    import.stop(Error::ShuttingDown);
    let put = import.next(false).unwrap().unwrap();
    let (count, outcome) = execute(put.command).unwrap();
    assert_eq!(count, 5);
    import.done(Ok(outcome)).unwrap();
    let line = Some(6);
    let error = Error::ShuttingDown;
    assert_eq!(import.next(false).err(), Some(Failure { error, line }));
}

#[test]
fn what_has_expired_is_left_out() {
    let text = "{\"key\":\"a\",\"value\":1,\"expires_at\":1.5}\n\
                {\"key\":\"a\",\"value\":2,\"expires_at\":4102444800}";
    let mut import = import(&[]);
    assert_eq!(run(&mut import, &[text]), (vec![1], None));
    let counts = import.counts();
    assert_eq!((counts.lines, counts.written, counts.expired), (2, 1, 1));
}

#[test]
fn a_command_that_was_not_taken_in_comes_again() {
    let mut import = import(&[]);
    import.push(lines(0..1500).as_bytes());
    import.end();
    let mut next = || match import.next(true).unwrap().unwrap().command {
        Command::BatchPut(steps) => steps.unwrap(),
        _ => panic!("another command"),
    };
    let first = next();
    assert_eq!((first.len(), next() == first), (1000, true));
    let (_, outcome) = execute(Command::BatchPut(Ok(first))).unwrap();
    import.done(Ok(outcome)).unwrap();
    let put = import.next(true).unwrap().unwrap();
    assert_eq!(execute(put.command).unwrap().0, 500);
    assert_eq!(import.counts().lines, 1000);
}

#[test]
fn a_pair_that_has_expired_by_the_clock_of_the_leader_is_counted_so() {
    let line = |at: u64| format!("{{\"key\":\"a\",\"value\":1,\"expires_at\":{at}}}\n");
    let relayed = |error: Error| Error::relayed(error.row().code, error.to_string(), None);
    let name = "content_type";
    let allowed = "a media type";
    for (error, at, has_expired) in [
        (relayed(Expiry::OUT_OF_RANGE), 4_102_444_800, true),
        (Expiry::OUT_OF_RANGE, 4_102_444_800, false),
        // Too far in the future by any clock.
        (relayed(Expiry::OUT_OF_RANGE), 9_000_000_000_000, false),
        (
            relayed(Error::BadOption { name, allowed }),
            4_102_444_800,
            false,
        ),
    ] {
        let mut import = import(&[]);
        import.push(line(at).as_bytes());
        import.end();
        assert!(import.next(true).unwrap().is_some());
        assert_eq!(import.done(Err(error)).is_ok(), has_expired);
        assert_eq!(import.counts().expired, u64::from(has_expired));
    }
}
