//! An error and its causes.

/// Error of another crate, kept as the source of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The error itself, then its causes, the root cause last.
pub fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The same on one line; what an error says already is not said again.
#[must_use]
pub fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut reason = String::new();
    for cause in causes(error).map(ToString::to_string) {
        if !reason.contains(&cause) {
            let mark = if reason.is_empty() { "" } else { ": " };
            reason = format!("{reason}{mark}{cause}");
        }
    }
    reason
}
