//! Diagnosis of a bucket: tries every permission that the lake needs, and inspects settings that
//! save money or trouble.

use aws_config::Region;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_bucket::HeadBucketError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::BucketVersioningStatus;
use aws_smithy_runtime_api::http::Response;
use marketlake_common::reason;
use marketlake_model::Millis;
use uuid::Uuid;

use super::bucket::Bucket;
use super::credentials::missing;
use super::response_headers::HeaderCapture;
use crate::storage::diagnostic::{Diagnostic, Severity};

/// Clock skew from which on S3 refuses requests.
const MAX_SKEW_MINUTES: i64 = 15;
/// Clock skew from which on a warning is given.
const WARN_SKEW_SECONDS: i64 = 30;

/// An `ETag` that no object of ours has.
const OTHER_ETAG: &str = "\"00000000000000000000000000000000\"";

type S3Error<E> = SdkError<E, Response>;

impl Bucket {
    /// Diagnoses the bucket; `now` is the time by the clock that signs requests. Leaves nothing
    /// behind.
    pub(crate) async fn diagnose(&self, now: Millis) -> Vec<Diagnostic> {
        let mut found = vec![self.credentials().await];
        if found[0].severity == Severity::Bad {
            return found;
        }
        found.extend(self.reach(now).await);
        if found.iter().any(|one| one.severity == Severity::Bad) {
            return found;
        }
        found.extend(self.permissions().await);
        found.push(self.versioning().await);
        found.push(self.lifecycle().await);
        found.push(self.public_access().await);
        found
    }

    async fn credentials(&self) -> Diagnostic {
        let what = "credentials";
        let Some(provider) = self.sdk.credentials_provider() else {
            return Diagnostic::new(what, Severity::Bad, "there are none");
        };
        match provider.provide_credentials().await {
            Ok(found) => {
                let id = found.access_key_id();
                let end = id.get(id.len().saturating_sub(4)..).unwrap_or_default();
                Diagnostic::new(what, Severity::Good, format!("a key that ends in {end}"))
            }
            Err(error) => Diagnostic::new(what, Severity::Bad, missing(&error)),
        }
    }

    /// Bucket, region and clock, from one response.
    async fn reach(&self, now: Millis) -> Vec<Diagnostic> {
        let name = &self.name;
        let request = self.client.head_bucket().bucket(name).customize();
        let seen = HeaderCapture::default();
        let response = request.interceptor(seen.clone()).send().await;
        let seen = seen.headers();
        let mut found = Vec::new();
        let ours = self.sdk.region().map_or("", Region::as_ref);
        let theirs = seen.region.as_deref().unwrap_or(ours);
        let skew = seen.date.map(|date| now.since(date) / 1_000);
        found.push(match &response {
            Ok(_) => Diagnostic::new("bucket", Severity::Good, format!("{name} is there")),
            Err(error) => Diagnostic::new(
                "bucket",
                Severity::Bad,
                unreachable(name, ours, theirs, error),
            ),
        });
        if response.is_ok() || seen.region.is_some() {
            found.push(if ours == theirs {
                Diagnostic::new("region", Severity::Good, ours)
            } else {
                let detail = format!(
                    "the bucket is in {theirs}, the request went to {ours}: set store.region to \
                     {theirs}"
                );
                Diagnostic::new("region", Severity::Bad, detail)
            });
        }
        found.push(match skew {
            None => Diagnostic::new("clock", Severity::Unknown, "the server says no time"),
            Some(seconds) if seconds.abs() >= MAX_SKEW_MINUTES * 60 => Diagnostic::new(
                "clock",
                Severity::Bad,
                format!(
                    "{} off the server's, which refuses requests that are {MAX_SKEW_MINUTES} \
                    minutes off: set this machine's clock",
                    span(seconds)
                ),
            ),
            Some(seconds) if seconds.abs() > WARN_SKEW_SECONDS => {
                let detail = format!(
                    "{} off the server's: synchronize it with NTP",
                    span(seconds)
                );
                Diagnostic::new("clock", Severity::Warning, detail)
            }
            Some(_) => Diagnostic::new("clock", Severity::Good, "that of the server"),
        });
        found
    }

    /// Puts, reads, lists and deletes an object of our own.
    async fn permissions(&self) -> Vec<Diagnostic> {
        let key = self.key(&format!("doctor/{}", Uuid::now_v7().simple()));
        let put = || {
            let put = self.client.put_object().bucket(&self.name).key(&key);
            put.body(ByteStream::from_static(b"doctor"))
        };
        let mut found = Vec::new();
        found.push(tried(
            "put",
            "s3:PutObject",
            put().send().await.as_ref().err(),
        ));
        if found[0].severity == Severity::Bad {
            return found;
        }
        let again = put().if_none_match("*").send().await;
        found.push(match again {
            Err(error) if code(&error).as_deref() == Some("PreconditionFailed") => Diagnostic::new(
                "conditional put",
                Severity::Good,
                "existing files are never overwritten",
            ),
            Err(error) => Diagnostic::new("conditional put", Severity::Warning, words(&error)),
            Ok(_) => Diagnostic::new(
                "conditional put",
                Severity::Warning,
                "If-None-Match is ignored: only unique keys keep objects from being overwritten",
            ),
        });
        found.push(self.conditional_replace(&key).await);
        let got = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(&key)
            .send()
            .await;
        found.push(tried("get", "s3:GetObject", got.as_ref().err()));
        let listed = self.client.list_objects_v2().bucket(&self.name);
        let listed = listed.prefix(self.key("doctor/")).send().await;
        found.push(tried("list", "s3:ListBucket", listed.as_ref().err()));
        found.push(self.multipart(&key).await);
        let deleted = self.client.delete_object().bucket(&self.name).key(&key);
        let deleted = deleted.send().await;
        found.push(tried("delete", "s3:DeleteObject", deleted.as_ref().err()));
        found
    }

    /// Replaces an object under the condition that it is another one, which must fail, and under
    /// the condition that it is the one that is there.
    async fn conditional_replace(&self, key: &str) -> Diagnostic {
        let what = "conditional replace";
        let put = |etag: &str| {
            let put = self.client.put_object().bucket(&self.name).key(key);
            put.body(ByteStream::from_static(b"doctor again"))
                .if_match(etag)
        };
        let head = self.client.head_object().bucket(&self.name).key(key);
        let etag = match head.send().await {
            Ok(head) => head.e_tag.unwrap_or_default(),
            Err(error) => return tried(what, "s3:GetObject", Some(&error)),
        };
        match put(OTHER_ETAG).send().await {
            Err(error) if code(&error).as_deref() == Some("PreconditionFailed") => (),
            Err(error) => return Diagnostic::new(what, Severity::Bad, words(&error)),
            Ok(_) => {
                let detail = "If-Match is ignored: nothing keeps two catalogs or processes from \
                              replacing each other's manifests and deletion sequence; use a server \
                              that supports conditional writes";
                return Diagnostic::new(what, Severity::Bad, detail);
            }
        }
        match put(&etag).send().await {
            Ok(_) => Diagnostic::new(what, Severity::Good, "conditions are obeyed"),
            Err(error) => Diagnostic::new(what, Severity::Bad, words(&error)),
        }
    }

    async fn multipart(&self, key: &str) -> Diagnostic {
        let begun = self.client.create_multipart_upload().bucket(&self.name);
        let begun = match begun.key(key).send().await {
            Ok(begun) => begun,
            Err(error) => return tried("multipart", "s3:PutObject", Some(&error)),
        };
        let aborted = self.client.abort_multipart_upload().bucket(&self.name);
        let aborted = aborted.key(key).set_upload_id(begun.upload_id).send().await;
        tried(
            "multipart",
            "s3:AbortMultipartUpload",
            aborted.as_ref().err(),
        )
    }

    async fn versioning(&self) -> Diagnostic {
        let what = "versioning";
        let request = self.client.get_bucket_versioning().bucket(&self.name);
        match request.send().await {
            Ok(response) if response.status() == Some(&BucketVersioningStatus::Enabled) => {
                self.versions_end(what).await
            }
            Ok(_) => Diagnostic::new(what, Severity::Good, "off: no object is ever overwritten"),
            Err(error) => unknown(what, "s3:GetBucketVersioning", &error),
        }
    }

    async fn versions_end(&self, what: &'static str) -> Diagnostic {
        let rules = self.client.get_bucket_lifecycle_configuration();
        let rules = rules.bucket(&self.name).send().await;
        let ends = |rule: &aws_sdk_s3::types::LifecycleRule| {
            rule.noncurrent_version_expiration().is_some()
        };
        if rules.is_ok_and(|response| response.rules().iter().any(ends)) {
            Diagnostic::new(
                what,
                Severity::Good,
                "on, and a rule ends noncurrent versions",
            )
        } else {
            let advice = "on: deleted segments are kept and paid for, unless a lifecycle rule \
                ends noncurrent versions";
            Diagnostic::new(what, Severity::Warning, advice)
        }
    }

    async fn lifecycle(&self) -> Diagnostic {
        let what = "lifecycle";
        let advice = "no rule aborts incomplete uploads, which cost money: add \
            AbortIncompleteMultipartUpload after 7 days";
        let request = self.client.get_bucket_lifecycle_configuration();
        match request.bucket(&self.name).send().await {
            Ok(response) => {
                let ends = |rule: &aws_sdk_s3::types::LifecycleRule| {
                    rule.abort_incomplete_multipart_upload().is_some()
                };
                if response.rules().iter().any(ends) {
                    Diagnostic::new(what, Severity::Good, "a rule aborts incomplete uploads")
                } else {
                    Diagnostic::new(what, Severity::Warning, advice)
                }
            }
            Err(error) if code(&error).as_deref() == Some("NoSuchLifecycleConfiguration") => {
                Diagnostic::new(what, Severity::Warning, advice)
            }
            Err(error) => unknown(what, "s3:GetLifecycleConfiguration", &error),
        }
    }

    async fn public_access(&self) -> Diagnostic {
        let what = "public access";
        let request = self.client.get_public_access_block();
        let advice = "not blocked: turn all four parts of the bucket's public access block on";
        match request.bucket(&self.name).send().await {
            Ok(response) => {
                let is_blocked =
                    response
                        .public_access_block_configuration()
                        .is_some_and(|block| {
                            [
                                block.block_public_acls(),
                                block.ignore_public_acls(),
                                block.block_public_policy(),
                                block.restrict_public_buckets(),
                            ]
                            .iter()
                            .all(|part| *part == Some(true))
                        });
                if is_blocked {
                    Diagnostic::new(what, Severity::Good, "blocked")
                } else {
                    Diagnostic::new(what, Severity::Warning, advice)
                }
            }
            Err(error)
                if code(&error).as_deref() == Some("NoSuchPublicAccessBlockConfiguration") =>
            {
                Diagnostic::new(what, Severity::Warning, advice)
            }
            Err(error) => unknown(what, "s3:GetBucketPublicAccessBlock", &error),
        }
    }
}

fn span(seconds: i64) -> String {
    let way = if seconds < 0 { "behind" } else { "ahead" };
    format!("{} seconds {way},", seconds.abs())
}

fn unreachable(name: &str, ours: &str, theirs: &str, error: &S3Error<HeadBucketError>) -> String {
    match error.raw_response().map(|raw| raw.status().as_u16()) {
        Some(404) => {
            format!("bucket {name} does not exist: create it, or set store.url to another one")
        }
        Some(301) => format!("{name} is in another region than {ours}: {theirs}"),
        Some(403) => {
            format!("access to {name} is denied: the keys are wrong, or lack s3:ListBucket")
        }
        Some(400) => format!("{name}: the request was refused; wrong region or an expired token"),
        _ => words(error),
    }
}

fn tried<E: ProvideErrorMetadata + std::error::Error + 'static>(
    what: &'static str,
    permission: &str,
    error: Option<&S3Error<E>>,
) -> Diagnostic {
    match error {
        None => Diagnostic::new(what, Severity::Good, permission),
        Some(error) => {
            let detail = format!("{permission} is needed: {}", words(error));
            Diagnostic::new(what, Severity::Bad, detail)
        }
    }
}

fn unknown<E: ProvideErrorMetadata + std::error::Error + 'static>(
    what: &'static str,
    permission: &str,
    error: &S3Error<E>,
) -> Diagnostic {
    let detail = format!("cannot look ({permission}): {}", words(error));
    Diagnostic::new(what, Severity::Unknown, detail)
}

fn code<E: ProvideErrorMetadata>(error: &S3Error<E>) -> Option<String> {
    error.code().map(str::to_owned)
}

fn words<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &S3Error<E>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => reason(error),
    }
}
