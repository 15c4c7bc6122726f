//! Excerpts of foreign text, for errors and logs that quote it.

use std::borrow::Cow;

/// Characters of a value that an error shows.
const MAX_EXCERPT_CHARS: usize = 100;
/// Characters of a whole message that another library wrote, which may hold values.
const MAX_MESSAGE_CHARS: usize = 500;

/// A value as an error shows it: its first 100 characters, and how many are left out.
#[must_use]
pub fn excerpt(value: &str) -> Cow<'_, str> {
    shortened(value, MAX_EXCERPT_CHARS)
}

/// The same of a message that holds values, like a parser's: its first 500 characters.
#[must_use]
pub fn excerpt_message(message: &str) -> Cow<'_, str> {
    shortened(message, MAX_MESSAGE_CHARS)
}

fn shortened(text: &str, max_chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max_chars) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let left_out = text[end..].chars().count();
            Cow::Owned(format!("{}.. ({left_out} more characters)", &text[..end]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters_and_says_how_much_is_left_out() {
        assert_eq!(excerpt("as it is"), "as it is");
        assert_eq!(excerpt(&"é".repeat(100)), "é".repeat(100));
        let long = excerpt(&"é".repeat(1_000_103)).into_owned();
        assert_eq!(
            long,
            format!("{}.. (1000003 more characters)", "é".repeat(100))
        );
        let message = excerpt_message(&"x".repeat(501)).into_owned();
        assert_eq!(
            message,
            format!("{}.. (1 more characters)", "x".repeat(500))
        );
    }
}
