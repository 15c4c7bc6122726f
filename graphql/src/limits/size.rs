//! Sizes of responses: how large one may be, what its bytes cost, and how many wait for clients.

use std::fmt;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a response that cost a point.
const BYTES_PER_POINT: u64 = 16 << 10;
/// Memory of all responses together that are being sent.
const MAX_SENT_BYTES: usize = 512 << 20;
/// Responses that are not counted among them.
const SMALL_BYTES: u64 = 64 << 10;

/// The most bytes of a response, before it is compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxBytes(pub(crate) usize);

/// A response would be larger than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response would be larger than {0} bytes: ask for less, or page by page")]
pub(crate) struct TooLarge(pub(crate) usize);

/// A buffer that takes so many bytes and no more.
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    max: usize,
}

impl MaxBytes {
    /// A buffer for a response of about so many bytes.
    pub(crate) fn buffer(self, expected: usize) -> Bounded {
        Bounded {
            bytes: Vec::with_capacity(expected.min(self.0)),
            max: self.0,
        }
    }

    /// Checks what is written already.
    pub(crate) fn check(self, bytes: usize) -> Result<(), TooLarge> {
        if bytes > self.0 {
            return Err(TooLarge(self.0));
        }
        Ok(())
    }

    /// The error of a buffer that is full, which `write!` does not tell.
    pub(crate) fn exceeded(self) -> TooLarge {
        TooLarge(self.0)
    }
}

impl Bounded {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn push(&mut self, text: &str) -> Result<(), TooLarge> {
        if self.bytes.len() + text.len() > self.max {
            return Err(TooLarge(self.max));
        }
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text).map_err(|_| fmt::Error)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max {
            return Err(io::Error::other(TooLarge(self.max)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Points that a response costs for its bytes, beside what was asked for.
pub(crate) fn points_of_bytes(bytes: u64) -> u32 {
    u32::try_from(bytes / BYTES_PER_POINT).unwrap_or(u32::MAX)
}

/// Memory of the responses that are being sent.
#[derive(Clone)]
pub(crate) struct SendBuffers(Arc<Semaphore>);

impl SendBuffers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SENT_BYTES >> 10)))
    }

    /// Counts a response until it is sent; `None` where too much waits to be sent already.
    pub(crate) fn hold(&self, response: Response) -> Option<Response> {
        let size = response.body().size_hint().exact().unwrap_or(0);
        if size <= SMALL_BYTES {
            return Some(response);
        }
        let kibibytes = u32::try_from(size >> 10).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.0).try_acquire_many_owned(kibibytes).ok()?;
        Some(response.map(|body| {
            Body::new(Held {
                body,
                _permit: permit,
            })
        }))
    }
}

/// A body with the memory that it takes up.
struct Held {
    body: Body,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
