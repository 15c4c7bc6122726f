//! Signs mails (RFC 6376).

use lettre::Message;
use lettre::message::dkim::{
    DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm,
    DkimSigningKey,
};

use super::mime;
use crate::AlertError;

/// A key with which mails are signed (RFC 6376).
pub struct Dkim(DkimConfig);

impl Dkim {
    /// The signature of a domain under a selector; `key` is an RSA key as PKCS#1 PEM, or the base64 of an Ed25519 key.
    ///
    /// # Errors
    /// Where the key cannot be used.
    pub fn new(domain: &str, selector: &str, key: &str) -> Result<Self, AlertError> {
        let (algorithm, key) = if key.contains("-----BEGIN") {
            (DkimSigningAlgorithm::Rsa, key)
        } else {
            (DkimSigningAlgorithm::Ed25519, key.trim())
        };
        let key = DkimSigningKey::new(key, algorithm)
            .map_err(|error| AlertError::Message(format!("DKIM key: {error}")))?;
        let relaxed = DkimCanonicalization {
            header: DkimCanonicalizationType::Relaxed,
            body: DkimCanonicalizationType::Relaxed,
        };
        Ok(Self(DkimConfig::new(
            selector.to_owned(),
            domain.to_owned(),
            key,
            mime::SIGNED.to_vec(),
            relaxed,
        )))
    }

    pub(super) fn sign(&self, message: &mut Message) {
        message.sign(&self.0);
    }
}
