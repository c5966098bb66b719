//! How fresh the data has to be that a request reads. Pure; any thread.

use authkv_base::error::Error;
use authkv_config::Consistency;
use std::time::Duration;

/// How long a request waits for fresh data if it does not say so.
pub const WAIT: Duration = Duration::from_secs(2);

/// The most seconds that a request may wait: for fresh data, or for changes.
pub const WAIT_MAX: f64 = 60.0;

/// How fresh the data has to be, as the client asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freshness {
    /// `None`: as the setting says.
    pub consistency: Option<Consistency>,
    /// The instance must have the changes up to this revision.
    pub min_revision: Option<u64>,
    /// How long to wait at most; `None`: [`WAIT`].
    pub timeout: Option<Duration>,
}

impl Freshness {
    /// The names of the members of an input, in the order in which they are read.
    pub const NAMES: [&'static str; 3] = ["min_revision", "timeout", "consistency"];

    /// The consistency of this name. Errors: `BadOption`.
    pub fn consistency(name: &str) -> Result<Consistency, Error> {
        Consistency::parse(name).ok_or(Error::BadOption {
            name: "consistency",
            allowed: Consistency::ALLOWED,
        })
    }

    /// What a request asks for in its header, and in its query or body. Errors: `Malformed` if the two differ.
    pub fn and(self, other: Self) -> Result<Self, Error> {
        Ok(Self {
            consistency: same("consistency", self.consistency, other.consistency)?,
            min_revision: same("min_revision", self.min_revision, other.min_revision)?,
            timeout: self.timeout.or(other.timeout),
        })
    }

    /// The same without a wait.
    pub fn at_once(self) -> Self {
        Self {
            timeout: Some(Duration::ZERO),
            ..self
        }
    }

    /// How long to wait at most.
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or(WAIT)
    }
}

/// A time to wait. Errors: `BadOption`.
pub(crate) fn wait(seconds: f64) -> Result<Duration, Error> {
    match (0.0..=WAIT_MAX).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(Error::BadOption {
            name: "timeout",
            allowed: "from 0 to 60 seconds",
        }),
    }
}

fn same<T: PartialEq>(name: &str, one: Option<T>, other: Option<T>) -> Result<Option<T>, Error> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(Error::malformed(format!(
            "{name} should be the same in the header and elsewhere"
        ))),
        (one, other) => Ok(one.or(other)),
    }
}
