//! Keys of a provider, as it publishes them.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of a set that are looked at.
const MAX_KEYS: usize = 100;
/// Sizes of an RSA modulus: 2,048 to 4,096 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A key that verifies signatures.
pub(crate) struct VerifyingKey {
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
}

/// Keys by their ids.
#[derive(Default)]
pub(crate) struct KeySet(HashMap<String, Arc<Vec<VerifyingKey>>>);

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl VerifyingKey {
    /// Whether it is for an algorithm.
    pub(crate) fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// A published key, if it is one that verifies signatures.
    fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let is_for_signatures =
            matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
                && common
                    .key_operations
                    .as_ref()
                    .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        if !is_for_signatures {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(key) => {
                let modulus = URL_SAFE_NO_PAD.decode(&key.n).ok()?;
                let size = modulus.iter().skip_while(|byte| **byte == 0).count();
                RSA_BYTES.contains(&size).then(|| RSA.to_vec())?
            }
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                vec![Algorithm::EdDSA]
            }
            _ => return None,
        };
        if let Some(only) = &common.key_algorithm {
            let only = Algorithm::try_from(*only).ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        (!algorithms.is_empty()).then_some(Self {
            algorithms,
            decoding,
        })
    }
}

impl KeySet {
    /// Reads a JWK Set. Keys that are of no use here are left out, whatever they are.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let published: Published = serde_json::from_slice(body)?;
        let mut keys: HashMap<String, Vec<VerifyingKey>> = HashMap::new();
        for value in published.keys.into_iter().take(MAX_KEYS) {
            let Ok(jwk) = serde_json::from_value::<Jwk>(value) else {
                continue;
            };
            if let Some(key) = VerifyingKey::of(&jwk)
                && let Some(id) = jwk.common.key_id
            {
                keys.entry(id).or_default().push(key);
            }
        }
        let shared = keys.into_iter().map(|(id, keys)| (id, Arc::new(keys)));
        Ok(Self(shared.collect()))
    }

    /// The keys of an id; none where it is not known.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Vec<VerifyingKey>>> {
        self.0.get(id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
