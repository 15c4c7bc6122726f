//! Counts the tokens and brackets of a GraphQL document (GraphQL, October 2021, section 2.1) before
//! it is parsed, so that no parser gets more than it can handle. Other text is counted as if it
//! were a document.

/// Numbers of tokens and of nested brackets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) tokens: usize,
    /// Greatest depth of nested brackets of all kinds.
    pub(crate) nesting: usize,
}

pub(crate) fn count(text: &str) -> Counted {
    let mut counted = Counted::default();
    let (mut rest, mut depth) = (text.as_bytes(), 0_usize);
    while let Some(&first) = rest.first() {
        let length = match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                rest = &rest[1..];
                continue;
            }
            b'#' => {
                let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
                rest = &rest[end.unwrap_or(rest.len())..];
                continue;
            }
            b'{' | b'(' | b'[' => {
                depth += 1;
                counted.nesting = counted.nesting.max(depth);
                1
            }
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                1
            }
            b'"' => string(rest),
            _ => {
                let word = rest.iter().take_while(|b| is_of_word(**b)).count();
                word.max(1)
            }
        };
        counted.tokens += 1;
        rest = &rest[length..];
    }
    counted
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The length of a string that begins a text; all of the text where it does not end.
fn string(text: &[u8]) -> usize {
    if text.starts_with(b"\"\"\"") {
        let mut at = 3;
        while at < text.len() {
            if text[at..].starts_with(b"\\\"\"\"") {
                at += 4;
            } else if text[at..].starts_with(b"\"\"\"") {
                return at + 3;
            } else {
                at += 1;
            }
        }
        return text.len();
    }
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}
