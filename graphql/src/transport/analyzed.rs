//! Cache of the statistics of short documents: a repeated document is parsed only when its answer
//! is not cached.

use async_graphql::Request;
use moka::future::Cache;

use super::document::{DocumentStats, analyze};
use super::introspection::Model;
use super::request_error::RequestError;

/// Bytes of all documents.
const MAX_BYTES: u64 = 4 << 20;
/// Memory of an entry beside its texts.
const OVERHEAD: usize = 128;

/// A document and the operation of it that is executed, on which the statistics depend.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    document: String,
    operation_name: Option<String>,
}

/// Statistics of documents that were analyzed before. Documents with errors are not kept.
pub(super) struct AnalyzedDocuments {
    known: Cache<Key, DocumentStats>,
}

impl AnalyzedDocuments {
    pub(super) fn new() -> Self {
        let weigh = |key: &Key, _: &DocumentStats| {
            let name = key.operation_name.as_ref().map_or(0, String::len);
            u32::try_from(key.document.len() + name + OVERHEAD).unwrap_or(u32::MAX)
        };
        let known = Cache::builder().max_capacity(MAX_BYTES).weigher(weigh);
        Self {
            known: known.build(),
        }
    }

    /// Statistics of a request's document; parses it if they are not known.
    pub(super) async fn analyze(
        &self,
        model: &Model,
        request: &mut Request,
    ) -> Result<DocumentStats, RequestError> {
        let key = Key {
            document: request.query.clone(),
            operation_name: request.operation_name.clone(),
        };
        if let Some(stats) = self.known.get(&key).await {
            return Ok(stats);
        }
        let stats = analyze(model, request)?;
        self.known.insert(key, stats).await;
        Ok(stats)
    }
}
