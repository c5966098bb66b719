//! The thread that fetches the keys of issuers, when they are due and when a token names one that is not known.
//!
//! The last key set stays in force while fetches fail, however long.

use super::fetch::Fetched;
use super::kept::Kept;
use super::pace::{after_failure, after_success};
use super::{Source, Sources};
use authkv_base::threads::spawn;
use authkv_token::issuers::{Issuer, Issuers, KeySet};
use crossbeam_queue::ArrayQueue;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout, Instant};
use tokio_util::sync::CancellationToken;

/// The most lines that wait to be logged. More are lost.
const LINES: usize = 256;

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Info(String),
    Warning(String),
}

/// The thread. It ends by [`Refresher::stop`], or when this is dropped.
pub struct Refresher {
    stop: CancellationToken,
    lines: Arc<ArrayQueue<Line>>,
}

impl Refresher {
    /// Starts the thread, if there is something to fetch.
    pub fn start(sources: Sources) -> io::Result<Self> {
        let Sources {
            issuers,
            remotes,
            lines: said,
        } = sources;
        let (stop, lines) = (CancellationToken::new(), Arc::new(ArrayQueue::new(LINES)));
        for line in said {
            let _ = lines.push(line);
        }
        if !remotes.is_empty() {
            let wanted = Arc::new(Notify::new());
            let bell = wanted.clone();
            issuers.on_unknown_key(Box::new(move || bell.notify_waiters()));
            let (token, told) = (stop.clone(), lines.clone());
            spawn("authkv-issuers".into(), move || {
                if let Err(e) = run(&issuers, remotes, (&token, &wanted, &told)) {
                    let line = format!("the keys of issuers are not fetched: {e}");
                    let _ = told.push(Line::Warning(line));
                }
            })?;
        }
        Ok(Self { stop, lines })
    }

    /// The next line for the log.
    pub fn line(&self) -> Option<Line> {
        self.lines.pop()
    }

    /// Ends the thread, which does not wait for a fetch.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(
    issuers: &Arc<Issuers>,
    remotes: Vec<Source>,
    (stop, wanted, lines): (&CancellationToken, &Arc<Notify>, &Arc<ArrayQueue<Line>>),
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    for source in remotes {
        let task = Task {
            issuers: issuers.clone(),
            source,
            wanted: wanted.clone(),
            lines: lines.clone(),
            failed: None,
        };
        runtime.spawn(task.run());
    }
    runtime.block_on(stop.cancelled());
    // A look-up of a name may still wait for its answer.
    runtime.shutdown_background();
    Ok(())
}

/// The fetches of one issuer.
struct Task {
    issuers: Arc<Issuers>,
    source: Source,
    wanted: Arc<Notify>,
    lines: Arc<ArrayQueue<Line>>,
    /// What failed, as it was logged last.
    failed: Option<String>,
}

impl Task {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let limit = Duration::from_secs(self.source.remote.timeout);
            let etag = self
                .source
                .kept
                .as_ref()
                .and_then(|kept| kept.etag.as_deref());
            let fetched = timeout(limit, self.source.client.fetch(etag)).await;
            let fetched =
                fetched.unwrap_or_else(|_| Err(format!("no answer in {} s", limit.as_secs())));
            let taken = fetched.and_then(|fetched| self.take(fetched));
            let pause = match &taken {
                Ok(max_age) => {
                    failures = 0;
                    after_success(&self.source.remote, *max_age)
                }
                Err(_) => {
                    failures += 1;
                    after_failure(&self.source.remote, failures)
                }
            };
            self.report(taken.err());
            self.wait(pause, failures > 0).await;
        }
    }

    fn issuer(&self) -> Option<&Issuer> {
        self.issuers.iter().nth(self.source.place)
    }

    /// Takes an answer into use. Returns the seconds for which it is fresh.
    fn take(&mut self, fetched: Fetched) -> Result<Option<u64>, String> {
        let Some((key_set, etag)) = fetched.new else {
            return Ok(fetched.max_age);
        };
        let issuer = self.issuer().ok_or("there is no such issuer")?;
        let set = issuer.set_keys(&key_set)?;
        let before = self.source.kept.as_ref();
        let is_same = before.is_some_and(|kept| kept.key_set == key_set && kept.etag == etag);
        if is_same {
            return Ok(fetched.max_age);
        }
        let kept = Kept {
            issuer: issuer.policy.issuer.clone(),
            url: self.source.remote.url.clone(),
            etag,
            key_set,
        };
        for line in described(issuer, &set, "fetched") {
            self.log(line);
        }
        // Without the file, the next start may be without these keys.
        if let Err(what) = kept.write(&self.source.file) {
            self.log(Line::Warning(what));
        }
        self.source.kept = Some(kept);
        Ok(fetched.max_age)
    }

    /// Logs a failure when it begins or is another, and its end.
    fn report(&mut self, failed: Option<String>) {
        if failed == self.failed {
            return;
        }
        let issuer = self
            .issuer()
            .map_or("", |one| &one.policy.issuer)
            .to_owned();
        self.log(match &failed {
            Some(what) => Line::Warning(format!(
                "the keys of the issuer {issuer} were not fetched, and the last ones stay in force: {what}"
            )),
            None => Line::Info(format!("the keys of the issuer {issuer} are fetched again")),
        });
        self.failed = failed;
    }

    fn log(&self, line: Line) {
        let _ = self.lines.push(line);
    }

    /// Waits until the next fetch is due, or until a token has named a key that is not known. Then there is a fetch at most once
    /// in `refetch_pause`, and none while fetches fail anyway.
    async fn wait(&self, pause: Duration, fails: bool) {
        let now = Instant::now();
        let due = now + pause;
        let soon = due.min(now + Duration::from_secs(self.source.remote.refetch_pause));
        if !fails {
            loop {
                let wanted = self.wanted.notified();
                tokio::pin!(wanted);
                // Heard of from here on, so that nothing is missed between the look and the wait.
                wanted.as_mut().enable();
                if self.issuer().is_some_and(Issuer::is_wanted) {
                    break;
                }
                tokio::select! {
                    () = &mut wanted => {}
                    () = sleep_until(due) => break,
                }
            }
        }
        let is_wanted = !fails && self.issuer().is_some_and(Issuer::is_wanted);
        sleep_until(if is_wanted { soon } else { due }).await;
        if let Some(issuer) = self.issuer() {
            issuer.take_wanted();
        }
    }
}

/// What is to be logged of a key set, which was `got` in this way.
pub fn described(issuer: &Issuer, set: &KeySet, got: &str) -> Vec<Line> {
    let name = &issuer.policy.issuer;
    let mut lines = vec![Line::Info(format!(
        "{} keys of the issuer {name} were {got}",
        set.len()
    ))];
    if set.len() == 0 {
        lines.push(Line::Warning(format!(
            "the issuer {name} has no key that can be used"
        )));
    }
    let left_out = set.left_out.iter();
    lines.extend(
        left_out.map(|what| Line::Warning(format!("of the issuer {name}, {what}: it is left out"))),
    );
    lines
}
