//! Exports and imports of the console, as text in pages and pieces; Lua reads and writes the files. Runs on the tx thread;
//! JSON is processed on another thread.

use super::{ask, text, Counts, Failure, Import};
use crate::core::{execute, Core};
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_base::origin::{Origin, Peer, Transport};
use authkv_codec::types::Types;
use authkv_command::{Caller, Command, Freshness, Outcome, Request};
use authkv_domain::Mode;
use serde::{Deserialize, Serialize};

/// A page of an export, for Lua.
#[derive(Serialize)]
pub struct Exported {
    text: String,
    pairs: usize,
    next: Option<String>,
}

/// A piece of a file, from Lua.
#[derive(Deserialize)]
pub struct Piece {
    text: serde_bytes::ByteBuf,
    mode: Option<String>,
    /// The number of its first line.
    line: u64,
    /// Whether the file ends with this piece.
    is_last: bool,
}

/// The result of a piece, for Lua.
#[derive(Serialize)]
pub struct Imported {
    counts: Counts,
    /// Bytes of the whole lines in the piece. The rest belongs to the next piece.
    used: usize,
    /// The number of the next line.
    line: u64,
    /// Why the import ends, as one line.
    error: Option<Refused>,
}

#[derive(Serialize)]
struct Refused {
    code: u32,
    name: &'static str,
    message: String,
}

/// A page of pairs, as lines. Yields.
pub fn export(
    tx: &Tx,
    core: &'static Core,
    prefix: &str,
    after: Option<&str>,
) -> Result<Exported, Error> {
    let Outcome::Listed(page) = act(tx, core, ask(prefix, after))? else {
        return Err(Error::Internal);
    };
    core.auth.verifier.run(tx, move || {
        Ok(Exported {
            text: String::from_utf8(text(&page)?).map_err(|_| Error::Internal)?,
            pairs: page.count,
            next: page.next,
        })
    })
}

/// Writes the pairs of whole lines. `types` are the extension types that this Tarantool knows. Yields.
pub fn import(tx: &Tx, core: &'static Core, types: Types, piece: Piece) -> Result<Imported, Error> {
    let Piece {
        text,
        mode,
        line,
        is_last,
    } = piece;
    let mode = mode.map_or(Ok(Mode::default()), |name| Mode::from_name(&name))?;
    let mut import = Import::new(&core.config, types, None, mode, line);
    let length = text.len();
    import.push(&text);
    drop(text);
    if is_last {
        import.end();
    }
    let failure = loop {
        let (next, back) = core
            .auth
            .verifier
            .run(tx, move || Ok((import.next(true), import)))?;
        import = back;
        let done = next.map(|put| put.map(|put| import.done(act(tx, core, put.command))));
        match done {
            Ok(None) => break None,
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(failure))) | Err(failure) => break Some(failure),
        }
    };
    Ok(Imported {
        counts: *import.counts(),
        used: length - import.waiting(),
        line: import.line() + 1,
        error: failure.map(Refused::from),
    })
}

/// Executes a command as the owner of the instance. Yields.
fn act(tx: &Tx, core: &'static Core, command: Command) -> Result<Outcome, Error> {
    let origin = Origin {
        transport: Transport::Console,
        peer: Peer::Session,
        agent: None,
    };
    let request = Request {
        origin,
        caller: Caller::Owner,
        command,
        counts: true,
        fresh: Ok(Freshness::default()),
        carried: None,
    };
    execute(tx, core, request)
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let row = failure.error.row();
        Self {
            code: row.code,
            name: row.name,
            message: match failure.line {
                Some(line) => format!("line {line}: {}", failure.error),
                None => failure.error.to_string(),
            },
        }
    }
}
