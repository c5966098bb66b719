//! An operation that exists in unit tests only. It shows what a new operation takes: a row (`operation.rs`), a decode
//! (`decode/mod.rs`), an execute (here; a real one is in `perform` of `src/core/`) and the form of its answer (`outcome.rs`). Its
//! description for the OpenAPI document is left out, because the library outside of these tests does not have the operation.

use crate::{Command, Delivery, Input, Operation, Outcome, Privilege, Profile, Who};
use authkv_base::error::Error;
use authkv_codec::{Document, Rules};
use authkv_domain::Limits;

const LIMITS: Limits = Limits { batch: 3, key: 4 };

fn execute(command: Command) -> Result<Outcome, Error> {
    match command {
        Command::Sample(text) => Ok(Outcome::Sample { text }),
        other => panic!("{other:?}"),
    }
}

/// What a client gets for this input, in JSON.
fn answer(input: &Document<'_>, skip: usize) -> Result<String, Error> {
    let command = Command::decode(Operation::Sample, input, skip, &LIMITS)?;
    assert_eq!(command.operation(), Operation::Sample);
    // From the type of the input.
    assert_eq!(command.arguments().object(), Some("a"));
    let outcome = execute(command)?;
    Ok(serde_json::to_string(&outcome).unwrap())
}

#[test]
fn a_new_operation_is_answered_over_every_transport() {
    let of_a_body = Document::from_json(br#"{"text":"a"}"#, Rules::json(4)).unwrap();
    let of_arguments = Document::from_msgpack(b"\x92\xa5token\xa1a", Rules::json(4)).unwrap();
    for (input, skip) in [(of_a_body, 0), (of_arguments, 1)] {
        assert_eq!(answer(&input, skip).unwrap(), r#"{"text":"a"}"#);
    }
}

#[test]
fn a_row_gives_a_new_operation_all_that_is_made_from_the_table() {
    let operation = Operation::by_name("sample_echo").unwrap();
    assert_eq!(operation, Operation::Sample);
    assert!(operation.takes_token());
    let row = operation.row();
    assert_eq!(row.privilege, Privilege::Token);
    let [endpoint] = row.endpoints else { panic!() };
    assert_eq!((endpoint.method, endpoint.path), ("POST", "/v1/sample"));
    assert_eq!(
        (endpoint.profile, endpoint.input, endpoint.delivery),
        (Profile::V1, Input::Json, Delivery::Whole)
    );
    let [function] = row.console else { panic!() };
    assert_eq!(
        (function.name, function.caller),
        ("sample.echo", Who::Owner)
    );
    assert_eq!(
        (function.arguments, function.takes_table),
        (&["text"] as &[_], true)
    );
}

/// The names of the procedures, as `procs.rs` takes them from the table.
macro_rules! names {
    ($($(#[$about:meta])* $operation:ident $input:tt => $name:ident $row:tt)*) => { [$(stringify!($name)),*] };
}

#[test]
fn every_operation_has_a_procedure_a_path_and_a_function_of_the_console() {
    let names = crate::for_each_operation! { names Sample [] => sample_echo {} };
    let of_rows: Vec<&str> = Operation::ALL.iter().map(|one| one.row().name).collect();
    assert_eq!(names.as_slice(), of_rows);
    for operation in Operation::ALL {
        let row = operation.row();
        assert!(
            !row.endpoints.is_empty() && !row.console.is_empty(),
            "{}",
            row.name
        );
        for endpoint in row.endpoints {
            let words = [endpoint.tag, endpoint.summary, endpoint.description];
            assert!(words.iter().all(|text| !text.is_empty()), "{}", row.name);
        }
    }
}
