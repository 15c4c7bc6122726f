//! Feed of a process that does not ingest, in the place of a stream.

use async_trait::async_trait;
use marketlake_feeds::{Batch, Coverage, Feed, FeedError};
use marketlake_model::Minute;

/// Stream of an exchange that is not read: it opens no connection, and has no samples.
pub(super) struct UnreadStream(pub(super) &'static str);

#[async_trait]
impl Feed for UnreadStream {
    fn name(&self) -> &str {
        self.0
    }

    fn coverage(&self) -> Coverage {
        Coverage::LiveOnly
    }

    async fn samples(&self, _: Minute) -> Result<Batch, FeedError> {
        Err(FeedError::Unreachable {
            url: self.0.to_owned(),
            reason: "this process does not read its stream".to_owned(),
        })
    }
}
