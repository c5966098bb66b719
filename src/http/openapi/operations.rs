//! What the document says of each operation: its body, answers, failures and parameters. Pure.
//!
//! An operation is described by a function with the name of its procedure, in the file of its group.

mod api_keys;
mod batches;
mod contract;
mod keys;
mod one_key;
mod pairs;
mod quotas;
mod roles;
mod server;
mod sessions;
mod streams;
mod txn;
mod users;

pub use pairs::schemas;
pub use streams::{render as render_stream, EVENTS};

use self::{
    api_keys::*, batches::*, contract::*, keys::*, one_key::*, quotas::*, roles::*, server::*,
    sessions::*, streams::*, txn::*, users::*,
};
use super::description::{Context, Description};
use authkv_command::Operation;

macro_rules! describe {
    ($($(#[$about:meta])* $operation:ident $input:tt => $name:ident $row:tt)*) => {
        /// The description of a route.
        pub fn describe(context: &Context<'_>) -> Description {
            match context.route.operation {
                $(Operation::$operation => $name(context),)*
            }
        }
    };
}

authkv_command::for_each_operation! { describe }
