//! Hints for S3's error codes
//! (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).

/// Hints by a code in an error's text.
const HINTS: [(&str, &str); 10] = [
    (
        "ExpiredToken",
        "the credentials have expired: renew them, or use a role that renews them itself; \
         `marketlake doctor` shows which are used",
    ),
    (
        "InvalidAccessKeyId",
        "the key is not known: `marketlake doctor` shows which is used",
    ),
    (
        "SignatureDoesNotMatch",
        "the secret is wrong: `marketlake doctor` shows which key is used",
    ),
    (
        "RequestTimeTooSkewed",
        "this machine's clock is off: have it set by NTP",
    ),
    (
        "AccessDenied",
        "access is denied: docs/aws.md lists the IAM permissions, `marketlake doctor` tries each",
    ),
    ("NoSuchBucket", "the bucket does not exist: check store.url"),
    (
        "PermanentRedirect",
        "the bucket is in another region: set store.region",
    ),
    (
        "AuthorizationHeaderMalformed",
        "the bucket is in another region: set store.region",
    ),
    (
        "SlowDown",
        "S3 throttles requests; the operation is retried later",
    ),
    (
        "KMS.",
        "the key that encrypts the bucket cannot be used: look at store.encryption and at the \
         key's policy",
    ),
];

/// The error, and what to do about it where that is known.
pub(crate) fn with_hint(error: &object_store::Error) -> String {
    let text = error.to_string();
    let known = HINTS.iter().find(|(code, _)| text.contains(code));
    match known {
        Some((_, hint)) => format!("{text}; {hint}"),
        None => text,
    }
}
