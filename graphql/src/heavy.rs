//! Work that would hold up everybody else.

use std::future::Future;

use marketlake_lake::LakeError;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Does work of many milliseconds on a thread of its own.
pub(crate) async fn heavy<T: Send + 'static>(
    work: impl Future<Output = Result<T, LakeError>> + Send + 'static,
) -> Result<T, LakeError> {
    let runtime = Handle::current();
    let done = spawn_blocking(move || runtime.block_on(work)).await;
    done.unwrap_or_else(|error| Err(LakeError::Query(error.to_string())))
}
