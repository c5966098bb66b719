//! The space `authkv_session`: sessions with the digests of their refresh tokens.

use super::{all, array};
use crate::tx::{Range, Space, Tx};
use authkv_base::error::Error;
use serde::{Deserialize, Serialize};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    pub id: String,
    /// Seconds since 1970-01-01 UTC.
    pub expires_at: u64,
    pub login: String,
    /// Microseconds, so that the sessions of a login can be sorted.
    pub created_at: u64,
    pub epoch: u64,
    /// The latest expiry of its access tokens, in seconds.
    pub tokens_until: u64,
    /// The digest of the refresh token that was given last.
    pub digest: String,
    /// `None` before the first refresh, and if an older version has written the tuple.
    #[serde(default)]
    pub refreshed: Option<Refreshed>,
    /// The IP address of the client at the login or the last refresh.
    #[serde(default)]
    pub address: Option<String>,
    /// What the client called itself then.
    #[serde(default)]
    pub agent: Option<String>,
}

/// The last refresh of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshed {
    /// Milliseconds since 1970-01-01 UTC by the steady clock.
    pub at: u64,
    /// The digest of the refresh token that was used.
    pub digest: String,
    /// What the next refresh token was made with.
    #[serde(with = "serde_bytes")]
    pub salt: Vec<u8>,
}

pub struct Sessions {
    pub(super) space: Space,
}

const BY_EXPIRY: u32 = 1;
const BY_LOGIN: u32 = 2;

impl Sessions {
    /// The number of sessions, ended ones included. Does not yield.
    pub fn len(&self, tx: &Tx) -> usize {
        self.space.index(0).len(tx)
    }

    /// Does not yield.
    pub fn get(&self, tx: &Tx, id: &str) -> Result<Option<SessionRow>, Error> {
        super::get(tx, self.space, id, decode)
    }

    /// Stores a session. The caller has opened a transaction.
    pub fn put(&self, tx: &Tx, session: &SessionRow) -> Result<(), Error> {
        Ok(self.space.replace(tx, &array(session))?)
    }

    /// Deletes a session, if it exists. The caller has opened a transaction.
    pub fn delete(&self, tx: &Tx, id: &str) -> Result<(), Error> {
        Ok(self.space.delete(tx, &array(&(id,)))?)
    }

    /// The sessions of a login, in the order in which they began. Does not yield.
    pub fn of(&self, tx: &Tx, login: &str) -> Result<Vec<SessionRow>, Error> {
        let key = array(&(login,));
        all(tx, self.space.index(BY_LOGIN), Range::Equal(&key), decode)
    }

    /// Deletes all sessions of a login except for the `kept` newest. Returns the deleted ones. The caller has opened a
    /// transaction.
    pub fn prune(&self, tx: &Tx, login: &str, kept: usize) -> Result<Vec<SessionRow>, Error> {
        let mut sessions = self.of(tx, login)?;
        sessions.truncate(sessions.len().saturating_sub(kept));
        for session in &sessions {
            self.delete(tx, &session.id)?;
        }
        Ok(sessions)
    }

    /// Deletes at most `limit` sessions that expired before `time`. Returns whether there may be more. Yields while it commits.
    pub fn forget(&self, tx: &Tx, time: u64, limit: usize) -> Result<bool, Error> {
        super::forget(tx, self.space, BY_EXPIRY, time, limit)
    }
}

fn decode(tuple: &[u8]) -> Result<SessionRow, Error> {
    super::decode("authkv_session", tuple)
}
