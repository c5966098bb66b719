//! The profile `/api`, which existing clients know byte for byte. Pure; any thread.

use super::response::json;
use authkv_base::error::Error;
use authkv_codec::json_write::{write, write_string};
use authkv_codec::msgpack::Reader;
use authkv_command::{Done, Operation, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

/// What happened, in words.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Message<'a> {
    message: &'a str,
}

/// A token, `-` where there is none, and what happened, in words.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenMessage<'a> {
    token: &'a str,
    message: &'a str,
}

/// Whether a token is valid at this moment.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorized {
    #[schema(pattern = "^(YES|NO)$")]
    authorized: &'static str,
}

const REGISTERED: &str = "You have been successfully registered!";
const LOGGED_IN: &str = "You have been successfully authenticated";
const LOGGED_OUT: &str =
    "You have been successfully logout from your account! Please, remove a jwt token from your \
                          Authorization Headers) I'm so lazy to do it)";
const LOGOUT_REFUSED: &str = "You have not been authorized!";

/// The status and the JSON body of an error, also of one without an operation.
pub fn render_error(operation: Option<Operation>, error: &Error) -> (u16, Vec<u8>) {
    let text = error.to_string();
    let body = match error {
        Error::InvalidCredentials => json(&TokenMessage {
            token: "-",
            message: &text,
        }),
        Error::Unauthenticated if operation == Some(Operation::Logout) => json(&Message {
            message: LOGOUT_REFUSED,
        }),
        _ => json(&Message { message: &text }),
    };
    (error.row().api_status, body)
}

/// The status and the JSON body of a success. Errors: `Malformed` if the result is not msgpack.
pub fn render_outcome(outcome: &Outcome) -> Result<(u16, Vec<u8>), Error> {
    Ok(match outcome {
        Outcome::Registered(_) => (
            201,
            json(&Message {
                message: REGISTERED,
            }),
        ),
        Outcome::LoggedIn { token, .. } => (
            201,
            json(&TokenMessage {
                token,
                message: LOGGED_IN,
            }),
        ),
        Outcome::Done(Done::Revoked) => (
            200,
            json(&Message {
                message: LOGGED_OUT,
            }),
        ),
        Outcome::Checked(claims) => (
            200,
            json(&Authorized {
                authorized: if claims.is_some() { "YES" } else { "NO" },
            }),
        ),
        Outcome::Found(data) => {
            let mut body = Vec::with_capacity(data.len() * 5 / 4 + 16);
            write(&mut body, &mut Reader::new(data))?;
            (200, body)
        }
        Outcome::Written { existing, .. } => {
            let mut body = b"{\"status\":".to_vec();
            write_string(&mut body, written_status(existing).as_bytes());
            body.push(b'}');
            (201, body)
        }
        // No other outcome has a route in this profile.
        _ => return Err(Error::Internal),
    })
}

fn written_status(existing: &[String]) -> String {
    match existing {
        [] => "success".to_owned(),
        keys => format!(
            "success, but these keys have not been written: {}. Because they have already been in kv store",
            keys.join(" ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation::*;

    #[test]
    fn answers_are_those_of_the_contract() {
        let key = |text: &str| vec![text.to_owned()];
        for (operation, result, status, body) in [
            (
                Login,
                Err(Error::InvalidCredentials),
                404,
                r#"{"token":"-","message":"You have entered an incorrect login or password"}"#,
            ),
            (
                Logout,
                Err(Error::Unauthenticated),
                401,
                r#"{"message":"You have not been authorized!"}"#,
            ),
            (
                Get,
                Err(Error::Unauthenticated),
                401,
                r#"{"message":"You are not authorized! Please, sign in or sign up"}"#,
            ),
            (
                Get,
                Err(Error::MissingKeys(key("a"))),
                400,
                r#"{"message":"These keys don't exist: a"}"#,
            ),
            (
                Check,
                Ok(Outcome::Checked(None)),
                200,
                r#"{"authorized":"NO"}"#,
            ),
            (
                Get,
                Ok(Outcome::Found(
                    b"\x81\xa4data\x82\xa1b\xc0\xa1a\x91\x01".to_vec(),
                )),
                200,
                r#"{"data":{"b":null,"a":[1]}}"#,
            ),
            (
                Put,
                Ok(Outcome::Written {
                    written: 1,
                    existing: vec![],
                    revision: 2,
                }),
                201,
                r#"{"status":"success"}"#,
            ),
            (
                Put,
                Ok(Outcome::Written {
                    written: 0,
                    existing: key("k\""),
                    revision: 2,
                }),
                201,
                r#"{"status":"success, but these keys have not been written: k\". Because they have already been in kv store"}"#,
            ),
        ] {
            let (got_status, got_body) = match &result {
                Ok(outcome) => render_outcome(outcome).unwrap(),
                Err(error) => render_error(Some(operation), error),
            };
            assert_eq!(
                (got_status, String::from_utf8(got_body).unwrap()),
                (status, body.to_owned())
            );
        }
    }
}
