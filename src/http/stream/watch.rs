//! `GET /v1/watch`: committed changes as events.

use super::super::commands::{CommandRunner, PAUSE};
use super::super::events;
use super::super::exchange::Exchange;
use super::super::outgoing::Outgoing;
use super::super::piece::{Piece, Pieces, Truncated};
use super::super::response::Response;
use super::super::shared;
use authkv_base::clock::milliseconds;
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_codec::Member;
use authkv_command::{Caller, Command, Outcome};
use authkv_domain::Watching;
use bytes::Bytes;
use futures_util::stream::unfold;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout, Instant};

/// How long nothing is sent at most.
const SILENCE: Duration = Duration::from_secs(15);
/// How long the token is trusted without another check.
const TRUST: Duration = Duration::from_secs(5);

/// A watch under way.
struct Watch {
    runner: CommandRunner,
    prefix: String,
    /// The revision up to which changes were read.
    after: Option<u64>,
    /// The last id that was sent.
    id: u64,
    notifications: watch::Receiver<u64>,
    /// There may be more committed changes already.
    has_more: bool,
    /// The server was too busy to read changes.
    is_busy: bool,
    /// When something was last sent.
    sent: Instant,
    /// When the token was last checked.
    looked: Instant,
    /// When the token expires.
    expires: Instant,
    first: Option<Piece>,
    ended: bool,
    _counted: Option<shared::Watching>,
}

/// Answers a watch. The first page is read before the head is sent, so that an error gets its status.
pub async fn answer(mut exchange: Exchange) -> Outgoing {
    match begin(&mut exchange).await {
        Ok(watch) => {
            let mut response = Response::new(200, Bytes::new());
            response.set("Content-Type", "text/event-stream");
            exchange.open(response, watch.pieces())
        }
        Err(error) => exchange.finish(Err(error), Reservation::default()),
    }
}

async fn begin(exchange: &mut Exchange) -> Result<Watch, Error> {
    let (runner, members) = exchange.runner()?;
    let (mut prefix, mut after) = (String::new(), None);
    for (name, member) in members {
        match (name, member) {
            ("prefix", Member::Text(text)) => prefix = text,
            ("after", Member::Number(number)) => after = Some(number),
            _ => {}
        }
    }
    let after = exchange.last_event_id()?.or(after);
    let now = Instant::now();
    let leeway = runner.shared.settings.live().token_leeway;
    let mut watch = Watch {
        // Subscribed before the first page is read, so that no change is missed.
        notifications: runner.shared.notifications.subscribe(),
        runner,
        prefix,
        after,
        id: 0,
        has_more: true,
        is_busy: false,
        sent: now,
        looked: now,
        expires: now + left(exchange.caller(), leeway),
        first: None,
        ended: false,
        _counted: None,
    };
    let (mut piece, _) = watch.pull().await?;
    // Later changes have higher revisions, even if some are filtered out.
    let from = after.or(watch.after).unwrap_or_default();
    watch.id = watch.id.max(from);
    let text = [&events::ready(from)[..], &piece.bytes].concat();
    piece.bytes = text.into();
    watch.first = Some(piece);
    watch._counted = Some(watch.runner.shared.begin_watch()?);
    Ok(watch)
}

/// How long a token is valid if it is not revoked.
fn left(caller: &Caller, leeway: Duration) -> Duration {
    let Caller::Bearer(claims) = caller else {
        return Duration::ZERO;
    };
    // `exp` is in whole seconds, and its last second counts.
    let end = Duration::from_secs(claims.exp + 1) + leeway;
    end.saturating_sub(Duration::from_millis(milliseconds()))
}

impl Watch {
    fn pieces(self) -> Pieces {
        Box::pin(unfold(self, |mut watch| async move {
            let piece = watch.next().await?;
            watch.sent = Instant::now();
            Some((Ok::<_, Truncated>(piece), watch))
        }))
    }

    async fn next(&mut self) -> Option<Piece> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        while !self.ended {
            let is_leaving = self.wait().await;
            let result = match is_leaving {
                true => Err(Error::ShuttingDown),
                false => self.pull().await,
            };
            match result {
                Ok((piece, 1..)) => return Some(piece),
                Ok(_) => {}
                // This is temporary, and changes are kept until then.
                Err(Error::Overloaded { .. }) => self.is_busy = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Piece::new(events::failure(&error).into(), Some(error)));
                }
            }
            if self.sent.elapsed() >= SILENCE {
                return Some(self.silence());
            }
        }
        None
    }

    /// Waits until changes should be read. Returns whether the server is stopping.
    async fn wait(&mut self) -> bool {
        let leave = &self.runner.shared.leave;
        if std::mem::take(&mut self.is_busy) {
            return timeout(PAUSE, leave.cancelled()).await.is_ok();
        }
        if self.has_more {
            return leave.is_cancelled();
        }
        let mut next = (self.sent + SILENCE).min(self.looked + TRUST);
        if self.looked < self.expires {
            next = next.min(self.expires);
        }
        tokio::select! {
            biased;
            _ = leave.cancelled() => true,
            // The sender is in the shared state, which this watch keeps alive.
            _ = self.notifications.changed() => false,
            _ = sleep_until(next) => false,
        }
    }

    /// A page of changes, and their number.
    async fn pull(&mut self) -> Result<(Piece, usize), Error> {
        let command = Command::KvWatch(Ok(Watching {
            prefix: self.prefix.clone(),
            after: self.after,
            timeout: Duration::ZERO,
        }));
        self.looked = Instant::now();
        let (outcome, _held) = self.runner.call(command).await;
        let Outcome::Changed(page) = outcome? else {
            return Err(Error::Internal);
        };
        let text = events::render(&page)?;
        drop(page.items);
        let shared = &self.runner.shared;
        let held = shared.watched.hold(text.len());
        let held = held.ok_or_else(|| shared.bridge.memory_error())?;
        self.after = Some(page.next);
        self.id = page
            .changes
            .last()
            .map_or(self.id, |(_, revision)| *revision);
        // There may be more changes than one page has.
        self.has_more = page.next < *shared.bridge.notifications.borrow();
        let piece = Piece {
            bytes: text.into(),
            held,
            error: None,
        };
        Ok((piece, page.changes.len()))
    }

    fn silence(&mut self) -> Piece {
        let after = self.after.filter(|after| *after > self.id);
        self.id = after.unwrap_or(self.id);
        Piece::new(events::silence(after).into(), None)
    }
}
