//! Names of types in errors of serde.

/// Names a type that serde expected, in words that need no Rust; other texts stay as they are.
/// Structs are `table`: an object of JSON, a table of TOML.
#[must_use]
pub fn plain_type<'a>(expected: &'a str, table: &'a str) -> &'a str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of 0 or more",
        "i64" | "i128" => "a whole number",
        "f64" => "a number",
        "a string" | "path string" | "string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        expected if expected.starts_with("struct ") => table,
        expected if expected.starts_with("enum ") => "a text",
        expected => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::plain_type;

    #[test]
    fn types_of_rust_are_named_in_words() {
        assert_eq!(
            plain_type("u32", "an object"),
            "a whole number of 0 or more"
        );
        assert_eq!(plain_type("i64", "an object"), "a whole number");
        assert_eq!(plain_type("struct Rule", "an object"), "an object");
        assert_eq!(plain_type("enum Mode", "an object"), "a text");
        assert_eq!(plain_type("a duration", "an object"), "a duration");
    }
}
