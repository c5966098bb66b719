//! The parts of the library that are measured alone. They are pure, so they are compiled here from the library's own
//! files, without Tarantool and without a change to what the library exports.

// A rule for what is public, which these parts are here only.
#![allow(clippy::len_without_is_empty)]

#[path = "../../../src/auth"]
pub mod auth {
    pub mod jwt;
    pub mod key;
    pub mod recent;
    pub mod ring;
    pub mod strict;
    pub mod token;
}
#[path = "../../../src/bridge"]
pub mod bridge {
    pub mod doorbell;
    pub mod mailbox;

    use arc_swap::ArcSwap;
    use crossbeam_queue::ArrayQueue;
    use doorbell::Doorbell;
    use mailbox::{Mailbox, Reply};
    use std::sync::Arc;

    /// Stands for the answer to a command.
    pub type Answer = u64;

    /// Stands for the bridge of the library, whose other side is a fiber of Tarantool.
    pub struct Bridge {
        pub jobs: ArrayQueue<(u64, Reply)>,
        pub mailboxes: ArcSwap<Vec<Arc<Mailbox>>>,
        pub doorbell: Doorbell,
    }

    impl Bridge {
        pub fn new(doorbell: Doorbell) -> Self {
            Self {
                jobs: ArrayQueue::new(1024),
                mailboxes: ArcSwap::default(),
                doorbell,
            }
        }
    }
}
#[path = "../../../src/clock.rs"]
pub mod clock;
#[path = "../../../src/codec/mod.rs"]
pub mod codec;
#[path = "../../../src/command"]
pub mod command {
    mod operation;
    pub use operation::Operation;

    use crate::domain::Keys;
    use crate::error::Error;

    /// Stands for the commands of the library, whose execution needs Tarantool.
    #[derive(Debug)]
    pub enum Command {
        BatchGet(Result<Keys, Error>, bool),
    }

    pub mod decode {
        pub mod batch;
        pub mod parts;

        use super::Command;
    }
}
#[path = "../../../src/config/mod.rs"]
pub mod config;
#[path = "../../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../../src/error.rs"]
pub mod error;
#[path = "../../../src/http"]
pub mod http {
    pub mod head;
    pub mod h1 {
        pub mod head;
    }
}
