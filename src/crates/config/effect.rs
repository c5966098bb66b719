//! When a change of a setting takes effect. Pure.

/// When a change of a setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakesEffect {
    /// With `authkv.reload`.
    Reload,
    /// With `authkv.reload`, which changes an option of `box.cfg`. An application that calls `box.cfg` itself changes the
    /// option itself.
    Options,
    /// With `authkv.restart()`.
    Restart,
    /// With the next start of the process.
    Process,
}

impl TakesEffect {
    /// By the mark of a setting, or by its field if it has no mark: `fixed` is the name of its field in `Config`, or empty.
    pub(super) const fn of(mark: &str, fixed: &str) -> Self {
        match mark.as_bytes() {
            b"process" => Self::Process,
            b"options" => Self::Options,
            _ if fixed.is_empty() => Self::Reload,
            _ => Self::Restart,
        }
    }

    /// The word for the reference.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload | Self::Options => "reload",
            Self::Restart => "restart",
            Self::Process => "process",
        }
    }
}
