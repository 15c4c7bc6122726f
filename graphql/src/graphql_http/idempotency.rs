//! Keys by which a request that is sent again is known.

pub(super) const LONGEST_KEY: usize = 255;

/// The asker's own name for a request. In the request's data.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

/// A key, if it is one.
pub(crate) fn check_key(key: &[u8]) -> Option<String> {
    let fits = (1..=LONGEST_KEY).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(key).ok()?;
    fits.then(|| text.to_owned())
}
