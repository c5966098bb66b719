//! `GET /v1/export`: pairs as lines, page by page.

use super::super::commands::{CommandRunner, RetryBudget};
use super::super::exchange::Exchange;
use super::super::lines;
use super::super::outgoing::Outgoing;
use super::super::piece::{Piece, Pieces, Truncated};
use super::super::response::Response;
use crate::bulk;
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_codec::Member;
use authkv_command::Outcome;
use authkv_wire::input::NDJSON;
use bytes::Bytes;
use futures_util::stream::unfold;

/// An export under way.
struct Export {
    runner: CommandRunner,
    prefix: String,
    state: State,
}

enum State {
    /// The first page, which was read already.
    First(Piece, Option<String>),
    /// The next page begins after this key.
    After(String),
    Failed,
    Ended,
}

/// Answers an export. The first page is read before the head is sent, so that an error gets its status.
pub async fn answer(mut exchange: Exchange) -> Outgoing {
    match begin(&mut exchange).await {
        Ok((export, total)) => {
            let mut response = Response::new(200, Bytes::new());
            response.set("Content-Type", NDJSON);
            if let Some(total) = total {
                response.set("X-Total-Count", total.to_string());
            }
            exchange.open(response, export.pieces())
        }
        Err(error) => exchange.finish(Err(error), Reservation::default()),
    }
}

/// The export, and the number of pairs if the caller exports all keys and may read all.
async fn begin(exchange: &mut Exchange) -> Result<(Export, Option<usize>), Error> {
    let (runner, members) = exchange.runner()?;
    let prefix = members.into_iter().find_map(|member| match member {
        ("prefix", Member::Text(text)) => Some(text),
        _ => None,
    });
    let mut export = Export {
        runner,
        prefix: prefix.unwrap_or_default(),
        state: State::Ended,
    };
    let (first, next) = export.page(None).await?;
    export.state = State::First(first, next);
    let total = match export.prefix.is_empty() {
        true => export.total().await?,
        false => None,
    };
    Ok((export, total))
}

impl Export {
    fn pieces(self) -> Pieces {
        Box::pin(unfold(self, |mut export| async move {
            let piece = export.next().await?;
            Some((piece, export))
        }))
    }

    async fn next(&mut self) -> Option<Result<Piece, Truncated>> {
        loop {
            let page = match std::mem::replace(&mut self.state, State::Ended) {
                State::First(piece, next) => Ok((piece, next)),
                State::After(after) => self.page_after(&after).await,
                State::Failed => return Some(Err(Truncated)),
                State::Ended => return None,
            };
            match page {
                Ok((piece, next)) => {
                    self.state = next.map_or(State::Ended, State::After);
                    // A page may be empty if its pairs have expired.
                    if !piece.bytes.is_empty() {
                        return Some(Ok(piece));
                    }
                }
                Err(error) => {
                    self.state = State::Failed;
                    let line = lines::failure(&error);
                    return Some(Ok(Piece::new(line.into(), Some(error))));
                }
            }
        }
    }

    /// Like `page`, but tries again if the server is too busy.
    async fn page_after(&self, after: &str) -> Result<(Piece, Option<String>), Error> {
        let mut budget = RetryBudget::default();
        loop {
            match self.page(Some(after)).await {
                Err(Error::Overloaded { .. }) if budget.wait().await => {}
                page => return page,
            }
        }
    }

    /// A page, and the key after which the next one begins.
    async fn page(&self, after: Option<&str>) -> Result<(Piece, Option<String>), Error> {
        let shared = &self.runner.shared;
        let command = bulk::ask(&self.prefix, after);
        let (outcome, mut held) = self.runner.call(command).await;
        let Outcome::Listed(page) = outcome? else {
            return Err(Error::Internal);
        };
        let text = bulk::text(&page)?;
        drop(page.items);
        // The page exists already, so it counts even above the limit; later bodies wait.
        held.grow_to(&shared.bridge.memory, text.len());
        let piece = Piece {
            bytes: text.into(),
            held,
            error: None,
        };
        Ok((piece, page.next))
    }

    async fn total(&self) -> Result<Option<usize>, Error> {
        match self.runner.call(bulk::ask_total()).await.0? {
            Outcome::Counted { count } => Ok(count),
            _ => Err(Error::Internal),
        }
    }
}
