//! The input that says how fresh the data of a read has to be. Pure; any thread.

use super::parts::{option, Checked};
use crate::freshness::{wait, Freshness};
use authkv_codec::{self as codec, Document};

impl Freshness {
    /// Reads an input that has no other members. The inner error is `BadOption`.
    pub fn decode(input: &Document<'_>) -> Checked<Self> {
        let ([], fields) = input.fields_and_options([], Self::NAMES, 0)?;
        Self::read(fields)
    }

    /// The inner error is `BadOption`.
    pub(crate) fn read(fields: [Option<&[u8]>; 3]) -> Checked<Self> {
        let [min_revision, timeout, consistency] = fields;
        let min_revision = option(min_revision, |field| codec::number("min_revision", field))?;
        let timeout = option(timeout, |field| codec::seconds("timeout", field))?;
        let name = option(consistency, |field| codec::string("consistency", field))?;
        Ok(timeout.map(wait).transpose().and_then(|timeout| {
            Ok(Self {
                consistency: name.as_deref().map(Self::consistency).transpose()?,
                min_revision,
                timeout,
            })
        }))
    }
}
