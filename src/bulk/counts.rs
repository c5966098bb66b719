//! The outcomes of the lines of an import.

use authkv_base::error::Error;
use authkv_codec::msgpack::{Head, Reader};
use serde::Serialize;

/// How many lines there were, and how many of each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Lines that are not blank.
    pub lines: u64,
    pub written: u64,
    pub exists: u64,
    pub missing: u64,
    pub forbidden: u64,
    pub too_large: u64,
    /// Lines that were skipped because their pair had expired.
    pub expired: u64,
}

impl Counts {
    /// Adds an answer of `batch_put`. Errors: `Malformed`, `Internal` if it is no such answer.
    pub fn add(&mut self, answer: &[u8]) -> Result<(), Error> {
        let results = member(answer, b"results")?.ok_or(Error::Internal)?;
        let mut reader = Reader::new(results);
        let Head::Array(count) = reader.head()? else {
            return Err(Error::Internal);
        };
        for _ in 0..count {
            let result = reader.value()?;
            let outcome = member(result, b"outcome")?.ok_or(Error::Internal)?;
            let counted = match Reader::new(outcome).string()? {
                b"written" => &mut self.written,
                b"exists" => &mut self.exists,
                b"missing" => &mut self.missing,
                b"forbidden" => &mut self.forbidden,
                b"too_large" => &mut self.too_large,
                _ => return Err(Error::Internal),
            };
            *counted += 1;
            self.lines += 1;
        }
        Ok(())
    }

    /// Counts a line that was skipped because its pair had expired.
    pub fn add_expired(&mut self) {
        self.expired += 1;
        self.lines += 1;
    }
}

/// The revision in an answer of `batch_put`. Errors: `Malformed`, `Internal` if there is none.
pub fn revision(answer: &[u8]) -> Result<u64, Error> {
    let revision = member(answer, b"revision")?.ok_or(Error::Internal)?;
    rmp_serde::from_slice(revision).map_err(|_| Error::Internal)
}

/// The value of a member of a map.
fn member<'a>(map: &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, Error> {
    let mut reader = Reader::new(map);
    let Head::Map(count) = reader.head()? else {
        return Err(Error::Internal);
    };
    for _ in 0..count {
        let (found, value) = (reader.string()?, reader.value()?);
        if found == name {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_codec::json_read::to_msgpack;

    #[test]
    fn every_outcome_has_its_count() {
        let answer = br#"{"committed":true,"results":[
            {"key":"a","outcome":"written","revision":7},{"key":"b","outcome":"exists","revision":2},
            {"key":"c","outcome":"written","revision":8},{"key":"d","outcome":"missing"},
            {"key":"e","outcome":"forbidden"},{"key":"f","outcome":"too_large"}]}"#;
        let mut counts = Counts::default();
        counts.add(&to_msgpack(answer, 9).unwrap()).unwrap();
        counts.add_expired();
        let text = serde_json::to_string(&counts).unwrap();
        assert_eq!(
            text,
            r#"{"lines":7,"written":2,"exists":1,"missing":1,"forbidden":1,"too_large":1,"expired":1}"#
        );
        let other = to_msgpack(br#"{"results":[{"outcome":"conflict"}]}"#, 9).unwrap();
        assert_eq!(counts.add(&other), Err(Error::Internal));
    }
}
