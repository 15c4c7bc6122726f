//! Signs mails (RFC 6376).

use lettre::Message;
use lettre::message::dkim::{
    DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm,
    DkimSigningKey,
};
use lettre::message::header::HeaderName;

use crate::error::AlertError;

const fn name(text: &'static str) -> HeaderName {
    HeaderName::new_from_ascii_str(text)
}

/// Headers that a signature covers. RFC 8058 (3) wants both unsubscribe headers in it. Content-Type
/// cannot be: lettre keeps it with the body, and would sign a header that it does not see.
const SIGNED_HEADERS: [HeaderName; 13] = [
    name("From"),
    name("To"),
    name("Subject"),
    name("Date"),
    name("Message-ID"),
    name("MIME-Version"),
    name("List-Unsubscribe"),
    name("List-Unsubscribe-Post"),
    name("List-Id"),
    name("Auto-Submitted"),
    name("In-Reply-To"),
    name("References"),
    name("Feedback-ID"),
];

/// A key with which mails are signed (RFC 6376).
pub struct Dkim(DkimConfig);

impl Dkim {
    /// The signature of a domain under a selector; `key` is an RSA key as PKCS#1 PEM, or the base64
    /// of an Ed25519 key.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub fn new(domain: &str, selector: &str, key: &str) -> Result<Self, AlertError> {
        let (algorithm, key) = if key.contains("-----BEGIN") {
            (DkimSigningAlgorithm::Rsa, key)
        } else {
            (DkimSigningAlgorithm::Ed25519, key.trim())
        };
        let key = DkimSigningKey::new(key, algorithm)
            .map_err(|error| AlertError::Message(format!("DKIM key: {error}").into()))?;
        let relaxed = DkimCanonicalization {
            header: DkimCanonicalizationType::Relaxed,
            body: DkimCanonicalizationType::Relaxed,
        };
        Ok(Self(DkimConfig::new(
            selector.to_owned(),
            domain.to_owned(),
            key,
            SIGNED_HEADERS.to_vec(),
            relaxed,
        )))
    }

    pub(super) fn sign(&self, message: &mut Message) {
        message.sign(&self.0);
    }
}
