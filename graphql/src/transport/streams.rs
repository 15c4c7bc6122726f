//! Limits of open WebSockets and event streams, in all and by client.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts open streams.
pub(super) struct Streams {
    all: Arc<Semaphore>,
    by_client: Arc<Mutex<HashMap<String, usize>>>,
    max_per_client: usize,
}

/// One open stream, until it is dropped.
pub(super) struct OpenStream {
    client: String,
    by_client: Arc<Mutex<HashMap<String, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Streams {
    pub(super) fn new(max: usize, max_per_client: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(max)),
            by_client: Arc::default(),
            max_per_client,
        }
    }

    /// Counts one more of a client; `None` where there are as many as there may be.
    pub(super) fn open(&self, client: &str) -> Option<OpenStream> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut by_client = self.by_client.lock();
        let open = by_client.entry(client.to_owned()).or_default();
        if *open >= self.max_per_client {
            return None;
        }
        *open += 1;
        Some(OpenStream {
            client: client.to_owned(),
            by_client: Arc::clone(&self.by_client),
            _permit: permit,
        })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut by_client = self.by_client.lock();
        if let Some(open) = by_client.get_mut(&self.client) {
            *open -= 1;
            if *open == 0 {
                by_client.remove(&self.client);
            }
        }
    }
}
