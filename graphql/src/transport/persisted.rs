//! Automatic persisted queries (Apollo): documents by their SHA-256.

use axum::http::StatusCode;
use marketlake_common::hex;
use moka::future::Cache;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::request_error::RequestError;

const MAX_BYTES: u64 = 16 << 20;
/// Bytes of one document: several times those of the longest that tools write.
const MAX_DOCUMENT_BYTES: usize = 64 << 10;

/// The documents, as many as there is room for.
pub(super) struct Persisted {
    known: Cache<String, String>,
}

impl Persisted {
    pub(super) fn new() -> Self {
        let weigh = |_: &String, text: &String| u32::try_from(text.len() + 128).unwrap_or(u32::MAX);
        Self {
            known: Cache::builder()
                .max_capacity(MAX_BYTES)
                .weigher(weigh)
                .build(),
        }
    }

    /// The document of a request: the one that it brings, or the one that it names.
    pub(super) async fn document(
        &self,
        query: Option<String>,
        extensions: &Map<String, Value>,
    ) -> Result<String, RequestError> {
        let bytes = query.as_ref().map_or(0, String::len);
        if bytes > MAX_DOCUMENT_BYTES {
            return Err(RequestError::too_much(format!(
                "query: expected at most {MAX_DOCUMENT_BYTES} bytes, got {bytes}"
            )));
        }
        let Some(persisted) = extensions.get("persistedQuery") else {
            return query
                .filter(|query| !query.trim().is_empty())
                .ok_or_else(|| {
                    RequestError::bad_request("query: expected a GraphQL document, got none")
                });
        };
        let hash = persisted["sha256Hash"]
            .as_str()
            .unwrap_or_default()
            .to_lowercase();
        if persisted["version"] != 1 || hash.len() != 64 {
            let message =
                "extensions.persistedQuery: expected version 1 and a sha256Hash of 64 hex digits";
            return Err(RequestError::bad_request(message));
        }
        match query {
            Some(query) if hex(&Sha256::digest(&query)) == hash => {
                self.known.insert(hash, query.clone()).await;
                Ok(query)
            }
            Some(_) => {
                let message = "extensions.persistedQuery.sha256Hash: expected the hash of the \
                    query in this request";
                Err(RequestError::bad_request(message))
            }
            // With this status and message Apollo's clients send the document along.
            None => self.known.get(&hash).await.ok_or_else(|| {
                let code = "PERSISTED_QUERY_NOT_FOUND";
                RequestError::new(StatusCode::OK, code, "PersistedQueryNotFound")
            }),
        }
    }
}
