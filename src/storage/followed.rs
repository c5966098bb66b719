//! Which replica set this instance follows, and how far its instances must have come at least, in the space `authkv_followed`.
//! Written together with what was heard, so it survives a restart.

use super::{array, decode, find};
use crate::tx::source::Vclock;
use crate::tx::{tuple_bytes, Space, Tx};
use authkv_base::error::Error;

/// The primary key of the only tuple.
const ID: &str = "source";
const NAME: &str = "authkv_followed";

pub struct Followed {
    pub(super) space: Space,
}

/// The replica set that is followed, and the place of its instance that was heard last.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The UUID of the replica set; empty if none was heard, or only one with an older authkv.
    pub cluster: String,
    pub vclock: Vclock,
}

impl Followed {
    /// Does not yield.
    pub fn read(&self, tx: &Tx) -> Result<Heard, Error> {
        let Some(tuple) = find(tx, self.space, ID)? else {
            return Ok(Heard::default());
        };
        let (_, cluster, vclock): (String, String, Vclock) = decode(NAME, tuple_bytes(&tuple))?;
        Ok(Heard { cluster, vclock })
    }

    /// The caller has opened a transaction.
    pub fn keep(&self, tx: &Tx, heard: &Heard) -> Result<(), Error> {
        let tuple = array(&(ID, &heard.cluster, &heard.vclock));
        Ok(self.space.replace(tx, &tuple)?)
    }

    /// The caller has opened a transaction.
    pub fn forget(&self, tx: &Tx) -> Result<(), Error> {
        Ok(self.space.delete(tx, &array(&(ID,)))?)
    }
}
