//! What is counted and measured of an instance without the tx thread. Any thread.

use super::Instance;
use crate::allocator;
use crate::http::metrics::requests;
use crate::http::usage::Usage;
use authkv_metrics::{list, Family};

impl Instance {
    pub(super) fn metrics(&self) -> Vec<Family> {
        let memory = &self.bridge.memory;
        let mut used = Usage::default();
        {
            let http = self.http();
            let servers = http.server.iter().chain(&http.leaving);
            let servers = servers.map(|server| &server.shared);
            for shared in servers.chain(&http.shared) {
                used.add(shared);
            }
            if let Some(server) = &http.server {
                used.limit(&server.shared);
            }
        }
        let versions = [
            env!("CARGO_PKG_VERSION").into(),
            self.tarantool.clone().into(),
        ];
        let mut families = vec![
            list::BUILD_INFO.family([(versions, true.into())]),
            list::START_TIME.single(self.started_at),
            list::MEMORY.labelled([
                ("allocator", allocator::committed()),
                ("http", memory.held()),
                ("watches", used.watched),
            ]),
            list::MEMORY_MAX.labelled([("http", memory.max()), ("watches", used.watched_max)]),
        ];
        families.extend(requests());
        families.extend(used.families());
        families.extend(self.bridge.metrics());
        families
    }
}
