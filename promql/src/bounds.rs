//! Bounds of an expression, checked on its tokens before it is parsed: the parser, the planner, the
//! evaluator and the destructor of a tree each go as deep as it is.

use lrpar::{Lexeme, Lexer, NonStreamingLexer};
use promql_parser::parser::lexer;
use promql_parser::parser::token::{
    T_EQL_REGEX, T_LEFT_BRACE, T_LEFT_BRACKET, T_LEFT_PAREN, T_NEQ_REGEX, T_RIGHT_BRACE,
    T_RIGHT_BRACKET, T_RIGHT_PAREN, TokenType,
};
use promql_parser::util::unquote_string;
use regex::{Error, Regex, RegexBuilder};

use super::value::PromError;

const MAX_QUERY_BYTES: usize = 10_000;
/// Depth of brackets of all kinds.
const MAX_NESTING: usize = 64;
/// Operators, each of which makes the tree of a chain one level deeper.
const MAX_OPERATORS: usize = 200;
const MAX_REGEXES: usize = 32;
/// Memory of one compiled regular expression.
const MAX_REGEX_BYTES: usize = 256 << 10;

/// Totals of the expressions of one request.
#[derive(Default)]
struct Totals {
    bytes: usize,
    regexes: usize,
}

/// Refuses expressions of a parameter that are longer or deeper than can be computed, each by
/// itself or all together.
pub(super) fn check_all(name: &str, expressions: &[String]) -> Result<(), PromError> {
    let mut totals = Totals::default();
    for expression in expressions {
        check(name, expression, &mut totals)?;
    }
    Ok(())
}

fn check(name: &str, query: &str, totals: &mut Totals) -> Result<(), PromError> {
    let at_most = |max: usize, what: &str, got: usize| {
        if got > max {
            let problem = format!("{name}: expected at most {max} {what}, got {got}");
            return Err(PromError::BadData(problem));
        }
        Ok(())
    };
    totals.bytes += query.len();
    at_most(MAX_QUERY_BYTES, "bytes", totals.bytes)?;
    let tokens = lexer(query).map_err(|error| PromError::BadData(format!("{name}: {error}")))?;
    let (mut depth, mut nesting, mut operators) = (0_usize, 0, 0);
    let mut is_regex = false;
    for token in tokens.iter().flatten() {
        if is_regex && let Ok(pattern) = unquote_string(tokens.span_str(token.span())) {
            check_regex(name, &pattern)?;
        }
        is_regex = matches!(token.tok_id(), T_EQL_REGEX | T_NEQ_REGEX);
        totals.regexes += usize::from(is_regex);
        at_most(MAX_REGEXES, "regular expressions", totals.regexes)?;
        match token.tok_id() {
            T_LEFT_PAREN | T_LEFT_BRACE | T_LEFT_BRACKET => {
                depth += 1;
                nesting = nesting.max(depth);
            }
            T_RIGHT_PAREN | T_RIGHT_BRACE | T_RIGHT_BRACKET => depth = depth.saturating_sub(1),
            id => operators += usize::from(TokenType::new(id).is_operator()),
        }
    }
    at_most(MAX_NESTING, "levels of brackets", nesting)?;
    at_most(MAX_OPERATORS, "operators", operators)
}

/// Compiles a regular expression that must not take more memory than it may.
pub(super) fn regex(pattern: &str) -> Result<Regex, Error> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX_BYTES)
        .dfa_size_limit(MAX_REGEX_BYTES)
        .build()
}

/// Refuses a regular expression that compiles too large; the parser reports other faults.
fn check_regex(name: &str, pattern: &str) -> Result<(), PromError> {
    match regex(&format!("^(?:{pattern})$")) {
        Err(Error::CompiledTooBig(_)) => {
            let shown: String = pattern.chars().take(40).collect();
            let problem = format!("{name}: expected a smaller regular expression, got {shown:?}");
            Err(PromError::BadData(problem))
        }
        _ => Ok(()),
    }
}

/// Refuses more samples than memory is meant for.
pub(super) fn check_samples(samples: usize, max: usize) -> Result<(), PromError> {
    if samples <= max {
        return Ok(());
    }
    let problem =
        format!("expected at most {max} samples; request a shorter range or a longer step");
    Err(PromError::Execution(problem))
}

/// Bytes of a label name that a query may make.
const MAX_LABEL_NAME_BYTES: usize = 128;

/// Refuses what is no name of a label, or a long one, which an answer would repeat for each series.
pub(super) fn check_label(name: &str) -> Result<(), PromError> {
    let mut letters = name.chars();
    let first = letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first
        && name.len() <= MAX_LABEL_NAME_BYTES
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(PromError::BadData(format!(
        "expected a label's name of at most {MAX_LABEL_NAME_BYTES} letters, digits and _, got \
         {shown:?}"
    )))
}
