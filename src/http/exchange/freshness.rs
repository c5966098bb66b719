//! How fresh the data has to be that a request reads: what its header, its query and its body say.

use authkv_base::error::Error;
use authkv_codec::{Document, Rules};
use authkv_command::Freshness;
use authkv_wire::head::{Field, Head};
use authkv_wire::input::whole_number;
use authkv_wire::routes::Members;

/// The inner error is a rule that is broken.
type Checked = Result<Result<Freshness, Error>, Error>;

/// What the header says. The outer error is `Malformed`.
pub fn of_header(head: &Head) -> Checked {
    let malformed = |what| Err(Error::malformed(what));
    let min_revision = match &head.min_revision {
        Field::None => None,
        field => match field.text().and_then(whole_number) {
            None => return malformed("Authkv-Min-Revision should be a whole number"),
            number => number,
        },
    };
    let consistency = match &head.consistency {
        Field::None => None,
        field => match field.text() {
            None => return malformed("Authkv-Consistency should be given once"),
            Some(name) => Some(Freshness::consistency(name)),
        },
    };
    Ok(consistency.transpose().map(|consistency| Freshness {
        consistency,
        min_revision,
        timeout: None,
    }))
}

/// What the header says and what the query or the body does. Errors: `Malformed`, also if the two differ.
pub fn with_header(head: &Head, elsewhere: Result<Freshness, Error>) -> Checked {
    match (of_header(head)?, elsewhere) {
        (Ok(one), Ok(other)) => one.and(other).map(Ok),
        (Err(error), _) | (_, Err(error)) => Ok(Err(error)),
    }
}

/// What the members of a query say. The outer error is `Malformed`.
pub fn of_members(members: &Members) -> Checked {
    let is_ours = |member: &&(&'static str, _)| Freshness::NAMES.contains(&member.0);
    let ours: Members = members.iter().filter(is_ours).cloned().collect();
    Freshness::decode(&Document::from_json_and(&[], Rules::json(1), &ours)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_config::Consistency;
    use bytes::Bytes;
    use hyper::Method;

    fn head(fields: &[(&str, &'static str)]) -> Head {
        let mut head = Head::new(Method::GET, Bytes::from_static(b"/"));
        for (name, value) in fields {
            head.add(name, || Bytes::from_static(value.as_bytes()));
        }
        head
    }

    #[test]
    fn a_header_says_how_fresh_the_data_has_to_be() {
        let both = head(&[
            ("Authkv-Min-Revision", "7"),
            ("authkv-consistency", "leader"),
        ]);
        let read = of_header(&both).unwrap().unwrap();
        assert_eq!(
            (read.min_revision, read.consistency),
            (Some(7), Some(Consistency::Leader))
        );
        assert_eq!(of_header(&head(&[])), Ok(Ok(Freshness::default())));
        for text in ["", "-1", "1.0", "x", "18446744073709551616", "1,2"] {
            let wrong = of_header(&head(&[("authkv-min-revision", text)]));
            assert!(wrong.is_err(), "{text}");
        }
        let twice = [("authkv-min-revision", "1"), ("authkv-min-revision", "1")];
        assert!(of_header(&head(&twice)).is_err());
        let strong = of_header(&head(&[("authkv-consistency", "strong")]));
        assert!(matches!(strong, Ok(Err(Error::BadOption { .. }))));
    }

    #[test]
    fn header_and_query_agree() {
        let header = head(&[("authkv-min-revision", "7")]);
        let of = |min_revision| {
            Ok(Freshness {
                min_revision,
                ..Freshness::default()
            })
        };
        assert_eq!(with_header(&header, of(Some(7))), Ok(of(Some(7))));
        assert_eq!(with_header(&header, of(None)), Ok(of(Some(7))));
        assert!(with_header(&header, of(Some(8))).is_err());
    }
}
