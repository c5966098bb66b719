//! What the leader does with requests that other instances of its replica set carry to it. Runs on the tx thread.

use super::call::{execute_incoming, Incoming};
use crate::core::carried_call;
use crate::http::{carried as over_http, embedded};
use crate::instance::Instance;
use crate::tx::{hop, is_read_only, lua, orphan, Tx};
use authkv_base::error::Error;
use authkv_command::Freshness;
use tarantool::tuple::RawBytes;

/// Executes a request that another instance carries here, and returns what goes back. Errors, before anything is done:
/// `ReadOnly` if this instance does not lead, `Malformed`, `ShuttingDown`. Yields.
pub fn execute(tx: &Tx, instance: &'static Instance, text: &[u8]) -> Result<Vec<u8>, Error> {
    // If it is refused here, the instance that carries it knows that nothing was done.
    let _call = instance.life.begin_call()?;
    orphan::outlast(tx);
    if is_read_only(tx) {
        let leader = lua::leader(tx);
        return Err(Error::ReadOnly { leader });
    }
    let answer = match text.split_first() {
        Some((&over_http::KIND, request)) => {
            embedded::answer_carried(tx, &instance.core, &instance.shared(), request)?
        }
        Some((&carried_call::KIND, call)) => {
            let call = carried_call::Call::read(call)?;
            let arguments = RawBytes::new(&call.arguments);
            let incoming = Incoming {
                origin: call.origin,
                // The other instance has checked the size of what the client sent. This form may be longer.
                input_max: usize::MAX,
                counts: call.counts,
                fresh: Freshness {
                    min_revision: call.min_revision,
                    ..Freshness::default().at_once()
                },
                carried: None,
            };
            let result = execute_incoming(tx, instance, call.operation, arguments, incoming);
            carried_call::write(result.map(|result| result.0))?
        }
        _ => return Err(Error::malformed("There is no such kind of request")),
    };
    hop::reply(tx, &answer)
}
