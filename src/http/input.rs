//! What the body of a request may be, and what is read of a form and a query. Pure; any thread.

use super::head::{Field, Head};
use super::routes::{Kind, Members};
use crate::codec::Member;
use crate::error::Error;

const FORM: &str = "application/x-www-form-urlencoded";

/// Whether a body says that it is a form.
pub fn is_form(head: &Head) -> bool {
    essence(head.content_type.text().unwrap_or_default()) == FORM
}

/// A media type without its parameters, in lower case.
fn essence(text: &str) -> String {
    let essence = text.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Errors: `BadMediaType` for a body that says it is no JSON, or is coded.
pub fn check_type(head: &Head) -> Result<(), Error> {
    const TYPE: Error = Error::BadMediaType("application/json");
    match &head.content_encoding {
        Field::None => {}
        Field::One(coding) if coding.eq_ignore_ascii_case(b"identity") => {}
        Field::One(_) | Field::Many => {
            return Err(Error::BadMediaType("sent without Content-Encoding"))
        }
    }
    match &head.content_type {
        Field::None => Ok(()),
        Field::Many => Err(TYPE),
        Field::One(_) => {
            let text = head.content_type.text().ok_or(TYPE)?;
            // Parameters say nothing: JSON is UTF-8 (RFC 8259 §11).
            let essence = essence(text);
            let json = essence == "application/json"
                || (essence.starts_with("application/") && essence.ends_with("+json"));
            // What `curl -d` says of any body.
            match json || essence == FORM {
                true => Ok(()),
                false => Err(TYPE),
            }
        }
    }
}

/// The members of a form, or of a query, that are known. Errors: `Malformed`.
pub fn form(text: &[u8], kinds: &[(&'static str, Kind)]) -> Result<Members, Error> {
    let mut members = Members::new();
    for (name, value) in form_urlencoded::parse(text) {
        let Some((name, kind)) = kinds.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        // RFC 6749 §3.2: a parameter stands once.
        if members.iter().any(|(known, _)| known == name) {
            return Err(Error::malformed(format!("{name} should stand once")));
        }
        let number = || value.parse().map(Member::Number);
        members.push((
            *name,
            match kind {
                Kind::Text => Member::Text(value.into_owned()),
                Kind::Number => number()
                    .map_err(|_| Error::malformed(format!("{name} should be a whole number")))?,
            },
        ));
    }
    Ok(members)
}
