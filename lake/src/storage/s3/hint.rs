//! Hints for S3's error codes
//! (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).

/// Hints by a code in an error's text.
const HINTS: [(&str, &str); 10] = [
    (
        "ExpiredToken",
        "the credentials have ended: renew them, or use a role that renews them by itself; `marketlake doctor` shows which are used",
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
        "who asks may not: docs/aws.md says what must be allowed, `marketlake doctor` tries each",
    ),
    ("NoSuchBucket", "there is no such bucket: look at store.url"),
    (
        "PermanentRedirect",
        "the bucket lies in another region: set store.region",
    ),
    (
        "AuthorizationHeaderMalformed",
        "the bucket lies in another region: set store.region",
    ),
    (
        "SlowDown",
        "S3 asks to be called less often; what was to be done is tried again later",
    ),
    (
        "KMS.",
        "the key that encrypts the bucket cannot be used: look at store.encryption and at the key's policy",
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
