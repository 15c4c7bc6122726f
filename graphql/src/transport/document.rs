//! Analysis of a document before it is executed: its size, and whether its answer can be cached.
//!
//! async-graphql limits depth, complexity and directives, but reads a document without any limit,
//! and walks into each fragment as often as it is spread. So brackets are counted before it is
//! parsed, and spreads before it is validated.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Request};

use super::introspection::{Model, count};
use super::request_error::RequestError;
use crate::lexer;

const MAX_TOKENS: usize = 10_000;
const MAX_NESTING: usize = 64;
const MAX_ALIASES: usize = 100;
/// Fields, with those of fragments as often as they are spread.
const MAX_FIELDS: usize = 5_000;
/// Root fields whose answer is the same for all who may read, until the next commit.
const OF_THE_LAKE: [&str; 10] = [
    "metrics",
    "metric",
    "timeseries",
    "rank",
    "ranking",
    "jumps",
    "latest",
    "__typename",
    "__schema",
    "__type",
];

/// Statistics of the operation that would be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DocumentStats {
    pub(super) operation: OperationType,
    /// Whether the answer stays true until the next commit.
    pub(super) lasts: bool,
    /// Number of introspection fields that it requests, lists included.
    pub(super) introspected: usize,
}

/// Parses a request's document, and looks at what would be executed of it.
pub(super) fn analyze(model: &Model, request: &mut Request) -> Result<DocumentStats, RequestError> {
    let counted = lexer::count(&request.query);
    if counted.tokens > MAX_TOKENS {
        return Err(RequestError::too_much(format!(
            "query: expected at most {MAX_TOKENS} tokens, got {}",
            counted.tokens
        )));
    }
    if counted.nesting > MAX_NESTING {
        return Err(RequestError::too_much(format!(
            "query: expected brackets at most {MAX_NESTING} deep, got {}",
            counted.nesting
        )));
    }
    let name = request.operation_name.clone();
    let document = request.parsed_query().map_err(|error| {
        RequestError::of_document("GRAPHQL_PARSE_FAILED", format!("query: {}", error.message))
    })?;
    FragmentSizes::of(document).check(document)?;
    let operations = document.operations.iter();
    let chosen = operations
        .filter(|(own, _)| name.is_none() || own.map(Name::as_str) == name.as_deref())
        .map(|(_, operation)| operation);
    let chosen: Vec<_> = chosen.collect();
    let [operation] = chosen.as_slice() else {
        let message = match name {
            None => {
                "operationName: expected one, since the query has several operations".to_owned()
            }
            Some(name) => {
                let shown: String = name.chars().take(80).collect();
                format!("operationName: the query has no operation {shown:?}")
            }
        };
        return Err(RequestError::of_document("BAD_REQUEST", message));
    };
    let operation = &operation.node;
    let lasts = operation.ty == OperationType::Query
        && lasts(document, &operation.selection_set.node, &mut HashSet::new());
    let introspected = count(model, document, &operation.selection_set.node)?;
    Ok(DocumentStats {
        operation: operation.ty,
        lasts,
        introspected,
    })
}

/// Whether all root fields are of the lake.
fn lasts<'a>(
    document: &'a ExecutableDocument,
    set: &'a SelectionSet,
    seen: &mut HashSet<&'a Name>,
) -> bool {
    set.items.iter().all(|item| match &item.node {
        Selection::Field(field) => OF_THE_LAKE.contains(&field.node.name.node.as_str()),
        Selection::InlineFragment(inline) => lasts(document, &inline.node.selection_set.node, seen),
        Selection::FragmentSpread(spread) => {
            let name = &spread.node.fragment_name.node;
            let fragment = document.fragments.get(name);
            // One that was seen is being looked at already.
            !seen.insert(name)
                || fragment.is_some_and(|f| lasts(document, &f.node.selection_set.node, seen))
        }
    })
}

/// Number of fields of each fragment, fragments within it included; `None` while it is counted.
struct FragmentSizes<'a> {
    known: HashMap<&'a Name, Option<usize>>,
    aliases: usize,
    cycle: Option<&'a Name>,
}

impl<'a> FragmentSizes<'a> {
    fn of(document: &'a ExecutableDocument) -> Self {
        let mut sizes = Self {
            known: HashMap::new(),
            aliases: 0,
            cycle: None,
        };
        for name in document.fragments.keys() {
            sizes.fragment(document, name);
        }
        sizes
    }

    fn check(mut self, document: &'a ExecutableDocument) -> Result<(), RequestError> {
        let mut fields = 0_usize;
        for (_, operation) in document.operations.iter() {
            let set = &operation.node.selection_set;
            fields = fields.saturating_add(self.set(document, set));
        }
        if let Some(name) = self.cycle {
            let message = format!("query: the fragment {name} contains itself");
            return Err(RequestError::of_document(
                "GRAPHQL_VALIDATION_FAILED",
                message,
            ));
        }
        if self.aliases > MAX_ALIASES {
            let aliases = self.aliases;
            let message = format!("query: expected at most {MAX_ALIASES} aliases, got {aliases}");
            return Err(RequestError::too_much(message));
        }
        if fields > MAX_FIELDS {
            let got = match fields {
                usize::MAX => "more than can be counted".to_owned(),
                fields => fields.to_string(),
            };
            let message = format!("query: expected at most {MAX_FIELDS} fields, got {got}");
            return Err(RequestError::too_much(message));
        }
        Ok(())
    }

    fn fragment(&mut self, document: &'a ExecutableDocument, name: &'a Name) -> usize {
        match self.known.get(name) {
            Some(Some(size)) => return *size,
            Some(None) => {
                self.cycle = Some(name);
                return 0;
            }
            None => (),
        }
        let Some(fragment) = document.fragments.get(name) else {
            return 0;
        };
        self.known.insert(name, None);
        let size = self.set(document, &fragment.node.selection_set);
        self.known.insert(name, Some(size));
        size
    }

    fn set(
        &mut self,
        document: &'a ExecutableDocument,
        set: &'a Positioned<SelectionSet>,
    ) -> usize {
        let mut fields = 0_usize;
        for item in &set.node.items {
            let more = match &item.node {
                Selection::Field(field) => {
                    self.aliases += usize::from(field.node.alias.is_some());
                    self.set(document, &field.node.selection_set)
                        .saturating_add(1)
                }
                Selection::InlineFragment(inline) => self.set(document, &inline.node.selection_set),
                Selection::FragmentSpread(spread) => {
                    self.fragment(document, &spread.node.fragment_name.node)
                }
            };
            fields = fields.saturating_add(more);
        }
        fields
    }
}
