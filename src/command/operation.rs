//! What there is to ask for. Pure; any thread.

use crate::config::{Config, Services};

/// What a client can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Register,
    Login,
    Logout,
    Check,
    Get,
    Put,
}

impl Operation {
    /// Whether an instance with these services offers it.
    pub fn offered_by(self, services: Services) -> bool {
        match self {
            Operation::Register | Operation::Login | Operation::Logout | Operation::Check => {
                services.auth
            }
            Operation::Get | Operation::Put => services.kv,
        }
    }

    /// Bytes its input may have, at every front.
    pub fn input_max(self, config: &Config) -> usize {
        match self {
            Operation::Get | Operation::Put => config.kv_input_max,
            _ => config.auth_input_max,
        }
    }
}
