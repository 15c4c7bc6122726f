//! Content negotiation by `Accept` (RFC 9110, 12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// Format of the media type with the greatest weight, the first of equal ones; `usual` without an
/// `Accept` header, `None` if none is acceptable.
pub fn best<F>(
    headers: &HeaderMap,
    usual: F,
    of_media_type: impl Fn(&str) -> Option<F>,
) -> Option<F> {
    let texts: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if texts.is_empty() {
        return Some(usual);
    }
    let mut best: Option<(f32, F)> = None;
    for range in texts.iter().flat_map(|text| text.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight = weight.map_or(1.0, |text| text.parse().unwrap_or(0.0));
        if let Some(form) = of_media_type(&media_type)
            && weight > 0.0
            && best.as_ref().is_none_or(|(most, _)| weight > *most)
        {
            best = Some((weight, form));
        }
    }
    best.map(|(_, form)| form)
}
