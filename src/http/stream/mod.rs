//! Requests that are executed in several commands, and answers that come piece by piece: watches, exports, imports. HTTP
//! workers only.
//!
//! Everything is pulled: a piece is asked for once the one before it was taken, so that a client that is slow holds one
//! piece, and a command shows the token anew, so that one that has ended ends the answer.

pub mod events;
pub mod export;
pub mod import;
pub mod watch;

use super::receipt::Receipt;
use super::site::Site;
use crate::bridge::Gone;
use authkv_base::error::Error;
use authkv_base::memory::Held;
use authkv_base::origin::{Front, Origin, Peer};
use authkv_command::{Caller, Command, Outcome, Request};
use authkv_token::Tokens;
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;
use tokio::time::sleep;

/// How long to wait where the server is too busy, before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the same is asked again, at most.
const AGAIN_MAX: u32 = 5;

/// A piece of an answer.
#[derive(Default)]
pub struct Piece {
    pub bytes: Bytes,
    /// What it holds of the memory for answers.
    pub held: Held,
    /// It is the last, and tells of this failure.
    error: Option<Error>,
}

impl Piece {
    pub fn new(bytes: Bytes, error: Option<Error>) -> Self {
        Self {
            bytes,
            held: Held::default(),
            error,
        }
    }
}

/// An answer ends before its end, which the client has to notice.
#[derive(Debug)]
pub struct Cut;

/// What an answer is made of.
pub type Pieces = Pin<Box<dyn futures_util::Stream<Item = Result<Piece, Cut>> + Send>>;

/// The body of an answer whose length is not known.
pub struct Stream {
    pieces: Pieces,
    receipt: Option<Receipt>,
    /// It has no end, so a client that has closed its side is not believed to wait for one.
    pub is_endless: bool,
}

impl Stream {
    pub fn new(pieces: Pieces, receipt: Option<Receipt>, is_endless: bool) -> Self {
        Self {
            pieces,
            receipt,
            is_endless,
        }
    }

    /// The next piece, which is not empty, or `None` at the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Piece, Cut>>> {
        let piece = ready!(self.pieces.as_mut().poll_next(context));
        if let Some(Ok(piece)) = &piece {
            self.sent(piece.bytes.len(), piece.error.as_ref());
        }
        Poll::Ready(piece)
    }

    /// Notes for the log what was sent.
    pub fn sent(&mut self, bytes: usize, error: Option<&Error>) {
        if let Some(receipt) = &mut self.receipt {
            receipt.bytes_out += bytes;
            if let Some(error) = error {
                receipt.note(error);
            }
        }
    }

    /// Notes for the log how long the body was, in the end.
    pub fn received(&mut self, bytes: usize) {
        if let Some(receipt) = &mut self.receipt {
            receipt.bytes_in = bytes;
        }
    }
}

/// Executes the commands of one request.
pub struct Again {
    pub site: Arc<Site>,
    pub peer: Peer,
    pub token: Option<String>,
    pub gone: Gone,
}

impl Again {
    /// Who asks, as far as the token says at this moment.
    pub fn caller(&self) -> Caller {
        caller(self.site.tokens, self.token.as_deref())
    }

    /// Executes a command.
    pub async fn call(&self, command: Command) -> (Result<Outcome, Error>, Held) {
        let request = Request {
            origin: Origin {
                front: Front::Http,
                peer: self.peer.clone(),
            },
            caller: self.caller(),
            command,
        };
        let bridge = self.site.bridge;
        bridge.call(request, self.gone.clone()).await
    }

    /// Executes a command whose answer is msgpack.
    pub async fn ask(&self, command: Result<Command, Error>) -> Result<(Vec<u8>, Held), Error> {
        let (outcome, held) = self.call(command?).await;
        match outcome? {
            Outcome::Encoded(answer) => Ok((answer, held)),
            _ => Err(Error::Internal),
        }
    }
}

/// Counts how often the same is asked of a server that is too busy.
#[derive(Default)]
struct Patience(u32);

impl Patience {
    /// Waits a while, and returns whether to ask again.
    async fn wait(&mut self) -> bool {
        let has_some = self.0 < AGAIN_MAX;
        if has_some {
            self.0 += 1;
            sleep(PAUSE).await;
        }
        has_some
    }
}

/// Whom a token belongs to, if there is one.
pub fn caller(tokens: &Tokens, token: Option<&str>) -> Caller {
    match token.map(|token| tokens.verify(token)) {
        None => Caller::Anonymous,
        Some(None) => Caller::Refused,
        Some(Some(claims)) => Caller::Bearer(claims),
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer ends before its end")
    }
}

impl std::error::Error for Cut {}
