//! Imports over HTTP/2. HTTP workers only.

use super::super::outgoing::Outgoing;
use super::super::piece::{Piece, Truncated};
use super::super::stream::import::{Ending, Importing, Step};
use super::upload::Upload;
use authkv_base::error::Error;
use bytes::Bytes;
use futures_util::stream::unfold;
use std::future::ready;
use std::time::Duration;
use tokio::sync::mpsc::{channel, Sender};
use tokio::time::timeout;

/// An import, and the body that it reads.
struct Job {
    import: Importing,
    upload: Upload,
    /// The time limit for each piece of the body.
    time: Duration,
}

/// Answers an import: with a whole answer, or with a stream if it takes long.
pub async fn answer(
    begun: Result<Importing, Box<Outgoing>>,
    upload: Upload,
    time: Duration,
) -> Outgoing {
    let import = match begun {
        Ok(import) => import,
        Err(outgoing) => {
            upload.discard();
            return *outgoing;
        }
    };
    let mut job = Job {
        import,
        upload,
        time,
    };
    loop {
        match job.step().await {
            Step::More => {}
            Step::Over(ending) => {
                job.upload.discard();
                return job.import.close(&ending).unwrap_or_default();
            }
            Step::Progress(line) => {
                // One line may wait for the client. Further ones are skipped, except the last.
                let (sender, lines) = channel::<Piece>(1);
                let pieces = unfold(lines, |mut lines| async move {
                    let piece = lines.recv().await?;
                    Some((Ok::<_, Truncated>(piece), lines))
                });
                let outgoing = job.import.open(Box::pin(pieces));
                let _ = sender.try_send(Piece::new(line, None));
                tokio::spawn(job.go_on(sender));
                return outgoing.unwrap_or_default();
            }
        }
    }
}

impl Job {
    async fn step(&mut self) -> Step {
        let stops = self.import.stops();
        let is_behind = self.import.is_behind();
        let piece = tokio::select! {
            biased;
            error = stops => Err(error),
            _ = ready(()), if is_behind => Ok(Some(Bytes::new())),
            piece = self.piece() => piece,
        };
        self.import.take(piece).await
    }

    /// The next piece of the body, or `None` at its end. Errors: `BodyTimeout`, `Malformed` if the client stops midway.
    async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let Ok(piece) = timeout(self.time, self.upload.piece()).await else {
            let limit = self.time.as_secs();
            return Err(Error::BodyTimeout { limit });
        };
        piece
    }

    /// Finishes the import. Sends progress only while the client reads: it may send the whole body first.
    async fn go_on(mut self, sender: Sender<Piece>) {
        let ending: Ending = loop {
            match self.step().await {
                Step::More => {}
                Step::Progress(line) => drop(sender.try_send(Piece::new(line, None))),
                Step::Over(ending) => break ending,
            }
        };
        let line = self.import.last_line(&ending);
        let last = Piece::new(line, ending.error().cloned());
        let _ = sender.send(last).await;
        self.upload.discard();
    }
}
