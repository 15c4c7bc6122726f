//! Introspection fields that a document requests, counted exactly before it is executed.
//!
//! async-graphql counts the fields of `__schema` and `__type` as if each list had one item, while
//! types lead to their interfaces, those to the types that have them, and so on: a hundred bytes
//! request hundreds of megabytes. Here a model of the schema is walked in place of the schema; the
//! cost of a selection on a type is counted once.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Positioned, Request, Value as Literal};
use futures::FutureExt;
use serde_json::Value;

use super::request_error::RequestError;
use crate::schema::Schema;

/// Maximum number of introspection fields of a request: seven times what tools request to read the
/// whole schema.
const MAX_FIELDS: usize = 50_000;
/// Query for everything that the model is made of.
const QUERY: &str = "{ __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types {
        name
        fields(includeDeprecated: true) {
            args(includeDeprecated: true) { type { ...T } }
            type { ...T }
        }
        inputFields(includeDeprecated: true) { type { ...T } }
        interfaces { name } possibleTypes { name }
        enumValues(includeDeprecated: true) { name }
    }
    directives { args(includeDeprecated: true) { type { ...T } } }
} }
fragment T on __Type { name ofType { name ofType { name ofType { name ofType { name } } } } }";

/// Type to which a field of introspection leads, by the field's name.
type Node = HashMap<&'static str, Vec<usize>>;

/// The schema as introspection sees it.
#[derive(Default)]
pub(super) struct Model {
    nodes: Vec<Node>,
    types: HashMap<String, usize>,
    schema: usize,
}

impl Model {
    /// Builds the model of a schema; empty where it cannot be introspected, so that nothing is
    /// counted.
    pub(super) fn new(schema: &Schema) -> Self {
        let response = schema.execute(Request::new(QUERY)).now_or_never();
        let response = response.and_then(|response| serde_json::to_value(response.data).ok());
        let Some(data) = response else {
            tracing::error!("the schema cannot be introspected");
            return Self::default();
        };
        let mut model = Self::default();
        model.read(&data["__schema"]);
        model
    }

    fn read(&mut self, schema: &Value) {
        for named in list(schema, "types") {
            let node = self.add(Node::new());
            self.types.insert(name(named).to_owned(), node);
        }
        for named in list(schema, "types") {
            let mut node = Node::new();
            node.insert("fields", self.each(list(named, "fields"), Self::field));
            node.insert(
                "inputFields",
                self.each(list(named, "inputFields"), Self::field),
            );
            node.insert(
                "interfaces",
                self.each(list(named, "interfaces"), Self::reference),
            );
            node.insert(
                "possibleTypes",
                self.each(list(named, "possibleTypes"), Self::reference),
            );
            node.insert(
                "enumValues",
                self.each(list(named, "enumValues"), |_, _| Node::new()),
            );
            let at = self.types.get(name(named)).copied().unwrap_or_default();
            if let Some(own) = self.nodes.get_mut(at) {
                *own = node;
            }
        }
        let mut root = Node::new();
        for field in ["queryType", "mutationType", "subscriptionType"] {
            root.insert(field, self.type_of(&schema[field]).into_iter().collect());
        }
        root.insert("types", self.types.values().copied().collect());
        root.insert(
            "directives",
            self.each(list(schema, "directives"), Self::field),
        );
        self.schema = self.add(root);
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn each(&mut self, values: &[Value], read: impl Fn(&mut Self, &Value) -> Node) -> Vec<usize> {
        let mut nodes = Vec::with_capacity(values.len());
        for value in values {
            // A type that has a node already has no other.
            let known = self.types.get(name(value)).copied();
            let node = match known.filter(|_| value.get("type").is_none()) {
                Some(node) => node,
                None => {
                    let node = read(self, value);
                    self.add(node)
                }
            };
            nodes.push(node);
        }
        nodes
    }

    /// A field, an argument, a field of an input, or a directive.
    fn field(&mut self, value: &Value) -> Node {
        let mut node = Node::new();
        node.insert("args", self.each(list(value, "args"), Self::field));
        node.insert("type", self.type_of(&value["type"]).into_iter().collect());
        node
    }

    /// A type that has no node yet: none.
    fn reference(&mut self, _: &Value) -> Node {
        Node::new()
    }

    /// The node of a type, which may be wrapped in lists and in `!`.
    fn type_of(&mut self, value: &Value) -> Option<usize> {
        if value.is_null() {
            return None;
        }
        if let Some(known) = self.types.get(name(value)) {
            return Some(*known);
        }
        let inner = self.type_of(&value["ofType"]);
        let mut node = Node::new();
        node.insert("ofType", inner.into_iter().collect());
        Some(self.add(node))
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

/// Counts the introspection fields that an operation requests.
pub(super) fn count(
    model: &Model,
    document: &ExecutableDocument,
    operation: &SelectionSet,
) -> Result<usize, RequestError> {
    let mut counter = Counter {
        model,
        document,
        known: HashMap::new(),
        work: 0,
    };
    let fields = counter.roots(operation)?;
    if fields > MAX_FIELDS {
        return Err(too_many());
    }
    Ok(fields)
}

fn too_many() -> RequestError {
    RequestError::too_much(format!(
        "query: expected at most {MAX_FIELDS} fields of __schema and __type, lists included"
    ))
}

struct Counter<'a> {
    model: &'a Model,
    document: &'a ExecutableDocument,
    /// Number of fields of a selection on a node.
    known: HashMap<(*const SelectionSet, usize), usize>,
    /// Selections that were looked at; each counts at least one field.
    work: usize,
}

impl<'a> Counter<'a> {
    /// Number of fields of the root fields `__schema` and `__type`.
    fn roots(&mut self, set: &'a SelectionSet) -> Result<usize, RequestError> {
        let mut fields = 0_usize;
        for item in &set.items {
            let more = match &item.node {
                Selection::Field(field) => self.root(field)?,
                Selection::InlineFragment(inline) => self.roots(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    match self.document.fragments.get(name) {
                        Some(fragment) => self.roots(&fragment.node.selection_set.node)?,
                        None => 0,
                    }
                }
            };
            fields = fields.saturating_add(more);
        }
        Ok(fields)
    }

    fn root(&mut self, field: &'a Positioned<Field>) -> Result<usize, RequestError> {
        let set = &field.node.selection_set.node;
        match field.node.name.node.as_str() {
            "__schema" => Ok(self.set(set, self.model.schema)?.saturating_add(1)),
            "__type" => {
                let argument = field.node.get_argument("name");
                let argument = argument.and_then(|value| value.node.clone().into_const());
                if let Some(Literal::String(name)) = argument {
                    let fields = match self.model.types.get(&name) {
                        Some(node) => self.set(set, *node)?,
                        None => 0,
                    };
                    return Ok(fields.saturating_add(1));
                }
                // A variable may name any of them.
                let mut most = 0;
                for node in self.model.types.values() {
                    most = most.max(self.set(set, *node)?);
                }
                Ok(most.saturating_add(1))
            }
            _ => Ok(0),
        }
    }

    fn set(&mut self, set: &'a SelectionSet, node: usize) -> Result<usize, RequestError> {
        if set.items.is_empty() {
            return Ok(0);
        }
        let key = (std::ptr::from_ref(set), node);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        self.work += 1;
        if self.work > MAX_FIELDS {
            return Err(too_many());
        }
        let mut fields = 0_usize;
        for item in &set.items {
            let more = match &item.node {
                Selection::Field(field) => {
                    let inner = &field.node.selection_set.node;
                    let name = field.node.name.node.as_str();
                    let mut own = 1_usize;
                    let model = self.model;
                    let children = model.nodes.get(node).and_then(|node| node.get(name));
                    for child in children.into_iter().flatten() {
                        own = own.saturating_add(self.set(inner, *child)?.max(1));
                    }
                    own
                }
                Selection::InlineFragment(inline) => {
                    self.set(&inline.node.selection_set.node, node)?
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    match self.document.fragments.get(name) {
                        Some(fragment) => self.set(&fragment.node.selection_set.node, node)?,
                        None => 0,
                    }
                }
            };
            fields = fields.saturating_add(more);
        }
        self.known.insert(key, fields);
        Ok(fields)
    }
}
