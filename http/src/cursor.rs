//! Opaque cursors: where a page ended, so that the next begins behind it whatever was added
//! meanwhile.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use marketlake_common::excerpt;

/// The cursor of a place.
pub fn encode(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// The place of a cursor, or what is wrong with it.
///
/// # Errors
/// Fails if it is no cursor: the message says what was expected.
pub fn decode(cursor: &str) -> Result<String, String> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            let shown = excerpt(cursor);
            format!("expected a cursor of an earlier answer, got {shown:?}")
        })
}
