//! Sizes of responses: the maximum, the points that bytes cost, and the memory of send buffers.

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
pub struct MaxBytes(pub usize);

/// A response would be larger than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response would be larger than {0} bytes: request less, or use pages")]
pub struct ResponseTooLarge(pub usize);

/// Buffer with a maximum number of bytes.
pub struct BoundedBuffer {
    bytes: Vec<u8>,
    max: usize,
}

impl MaxBytes {
    /// Creates a buffer for a response of about `expected` bytes.
    pub fn buffer(self, expected: usize) -> BoundedBuffer {
        BoundedBuffer {
            bytes: Vec::with_capacity(expected.min(self.0)),
            max: self.0,
        }
    }

    /// Checks what is written already.
    ///
    /// # Errors
    /// Fails if the bytes exceed the maximum.
    pub fn check(self, bytes: usize) -> Result<(), ResponseTooLarge> {
        if bytes > self.0 {
            return Err(ResponseTooLarge(self.0));
        }
        Ok(())
    }

    /// Error of a full buffer, which `write!` does not carry.
    pub fn exceeded(self) -> ResponseTooLarge {
        ResponseTooLarge(self.0)
    }
}

impl BoundedBuffer {
    /// The bytes that were written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends a text.
    ///
    /// # Errors
    /// Fails if the response would exceed its maximum.
    pub fn push(&mut self, text: &str) -> Result<(), ResponseTooLarge> {
        if self.bytes.len() + text.len() > self.max {
            return Err(ResponseTooLarge(self.max));
        }
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl fmt::Write for BoundedBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text).map_err(|_| fmt::Error)
    }
}

impl Write for BoundedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max {
            return Err(io::Error::other(ResponseTooLarge(self.max)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Points that a response costs for its bytes, beside those of the request.
pub fn points_for_bytes(bytes: u64) -> u32 {
    u32::try_from(bytes / BYTES_PER_POINT).unwrap_or(u32::MAX)
}

/// Memory of the responses that are being sent.
#[derive(Clone)]
pub(super) struct SendBuffers(Arc<Semaphore>);

impl SendBuffers {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SENT_BYTES >> 10)))
    }

    /// Counts a response until it is sent; `None` where too much waits to be sent already.
    pub(super) fn hold(&self, response: Response) -> Option<Response> {
        let size = response.body().size_hint().exact().unwrap_or(0);
        if size <= SMALL_BYTES {
            return Some(response);
        }
        let kibibytes = u32::try_from(size >> 10).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.0).try_acquire_many_owned(kibibytes).ok()?;
        Some(response.map(|body| {
            Body::new(BodyWithPermit {
                body,
                _permit: permit,
            })
        }))
    }
}

/// A body with the memory that it takes up.
struct BodyWithPermit {
    body: Body,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for BodyWithPermit {
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
