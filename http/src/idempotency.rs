//! `Idempotency-Key`: identifies a request that is sent again.

/// The most characters of a key.
pub const MAX_KEY_LEN: usize = 255;

/// The client's name for a request. In the request's data.
#[derive(Clone, Debug, Default)]
pub struct IdempotencyKey(pub Option<String>);

/// A key, if it is one.
pub fn check_key(key: &[u8]) -> Option<String> {
    let fits = (1..=MAX_KEY_LEN).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(key).ok()?;
    fits.then(|| text.to_owned())
}
