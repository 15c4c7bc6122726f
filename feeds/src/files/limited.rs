//! Reader that fails once a limit of bytes is exceeded at a stretch.

use std::io::{Error, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Reader that reads at most a number of bytes, until the count is set back to 0.
pub(super) struct Limited<R> {
    reader: R,
    max: usize,
    count: Arc<AtomicUsize>,
}

impl<R> Limited<R> {
    pub(super) fn new(reader: R, max: usize, count: &Arc<AtomicUsize>) -> Self {
        Self {
            reader,
            max,
            count: Arc::clone(count),
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.reader.read(buffer)?;
        if self.count.fetch_add(read, Ordering::Relaxed) + read > self.max {
            let max = self.max;
            return Err(Error::other(format!(
                "expected at most {max} bytes per line or JSON file"
            )));
        }
        Ok(read)
    }
}
