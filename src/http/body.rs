//! Request bodies, read within a limit. HTTP workers only.

use crate::error::Error;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::time::Duration;

/// How long the rest of a body that was refused is read and thrown away, so that a client that sends first and
/// reads later gets its answer instead of a reset connection.
const LINGER: Duration = Duration::from_secs(5);

/// The whole body. Errors: `InputTooLarge` as soon as that is known, `BodyTimeout`, `Malformed` where the client
/// stops midway.
pub async fn read(body: Incoming, limit: usize, time: Duration) -> Result<Bytes, Error> {
    let late = Error::BodyTimeout {
        limit: time.as_secs(),
    };
    tokio::time::timeout(time, read_all(body, limit))
        .await
        .unwrap_or(Err(late))
}

async fn read_all(mut body: Incoming, limit: usize) -> Result<Bytes, Error> {
    if body.size_hint().lower() > limit as u64 {
        discard(body);
        return Err(Error::InputTooLarge { limit });
    }
    let mut whole = Whole::Empty;
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::malformed("The body is cut short"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length > limit {
            discard(body);
            return Err(Error::InputTooLarge { limit });
        }
        whole = whole.push(data);
    }
    Ok(whole.into_bytes())
}

/// A body most often is one chunk, which need not be copied.
enum Whole {
    Empty,
    One(Bytes),
    Many(BytesMut),
}

impl Whole {
    fn push(self, data: Bytes) -> Self {
        match self {
            Whole::Empty => Whole::One(data),
            Whole::One(first) => {
                let mut all = BytesMut::from(first);
                all.extend_from_slice(&data);
                Whole::Many(all)
            }
            Whole::Many(mut all) => {
                all.extend_from_slice(&data);
                Whole::Many(all)
            }
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Whole::Empty => Bytes::new(),
            Whole::One(data) => data,
            Whole::Many(all) => all.freeze(),
        }
    }
}

/// Reads a body in the background and throws it away, for a while; a connection whose body was not read to its
/// end is closed.
pub fn discard(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        let _ = tokio::time::timeout(LINGER, rest).await;
    });
}
