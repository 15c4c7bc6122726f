//! Cycles between files: no file of a crate imports, over others, one that imports it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use super::{root, visit};

/// GraphQL's types refer to each other by nature.
const ALLOWED: [&[&str]; 1] = [&["schema::jumps", "schema::metrics", "schema::ranking"]];

const CRATES: [&str; 13] = [
    "common", "model", "entities", "feeds", "lake", "alerts", "jobs", "http", "graphql", "rest",
    "promql", "web", ".",
];

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Path of a file's module: `ingest::stage`.
fn module(source: &Path, file: &Path) -> String {
    let path = file.strip_prefix(source).unwrap().with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap());
    parts
        .filter(|part| *part != "mod")
        .collect::<Vec<_>>()
        .join("::")
}

/// Modules that a file names after `crate::` or `super::`, in full or as the start of a path.
fn imports(name: &str, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect();
    let code = code.split("#[cfg(test)]").next().unwrap();
    let mut found = BTreeSet::new();
    for (at, start) in code
        .match_indices("crate::")
        .chain(code.match_indices("super::"))
    {
        let is_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        if is_word {
            continue;
        }
        let mut rest = &code[at..];
        let mut base: Vec<&str> = name.split("::").collect();
        if start == "crate::" {
            base.clear();
            rest = &rest["crate::".len()..];
        }
        while let Some(below) = rest.strip_prefix("super::") {
            base.pop();
            rest = below;
        }
        for path in paths(rest) {
            let full = [base.clone(), path].concat();
            let longest = (1..=full.len())
                .rev()
                .map(|length| full[..length].join("::"));
            found.extend(longest.into_iter().find(|module| modules.contains(module)));
        }
    }
    found.remove(name);
    found
}

/// Paths at the start of a text: of `a::{b, c::d}` these are `a::b` and `a::c::d`.
fn paths(text: &str) -> Vec<Vec<&str>> {
    let end = |text: &str| {
        let part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        text.find(|c| !part(c)).unwrap_or(text.len())
    };
    let head = &text[..end(text)];
    let parts = |text| str::split(text, "::").filter(|part| !part.is_empty());
    match text[head.len()..].strip_prefix('{') {
        Some(group) if head.ends_with("::") => {
            let group = group.split('}').next().unwrap();
            let items = group.split(',').map(str::trim);
            let items = items.map(|item| &item[..end(item)]);
            items
                .map(|item| parts(head).chain(parts(item)).collect())
                .collect()
        }
        _ => vec![parts(head).collect()],
    }
}

fn graph(source: &Path) -> Graph {
    let mut texts = BTreeMap::new();
    visit(source, &mut |file| {
        if file.extension().is_some_and(|ending| ending == "rs") {
            texts.insert(module(source, file), std::fs::read_to_string(file).unwrap());
        }
    });
    texts.remove("lib");
    texts.remove("main");
    let modules: BTreeSet<String> = texts.keys().cloned().collect();
    let imported = texts
        .iter()
        .map(|(name, text)| (name.clone(), imports(name, text, &modules)));
    imported.collect()
}

/// Modules that can be reached from one over at least one import.
fn reachable(graph: &Graph, from: &str) -> BTreeSet<String> {
    let (mut open, mut seen) = (vec![from.to_owned()], BTreeSet::new());
    while let Some(name) = open.pop() {
        for next in &graph[&name] {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

#[test]
fn no_files_of_a_crate_import_each_other() {
    let mut edges = 0;
    for krate in CRATES {
        let graph = graph(&root().join(krate).join("src"));
        edges += graph.values().map(BTreeSet::len).sum::<usize>();
        for name in graph.keys() {
            let reached = reachable(&graph, name);
            if !reached.contains(name) {
                continue;
            }
            let circle: Vec<&str> = graph
                .keys()
                .filter(|other| reached.contains(*other) && reachable(&graph, other).contains(name))
                .map(String::as_str)
                .collect();
            assert!(ALLOWED.contains(&circle.as_slice()), "{krate}: {circle:?}");
        }
    }
    assert!(edges > 500, "only {edges} imports were found");
}

#[test]
fn a_name_is_imported_from_the_module_that_defines_it() {
    let mut wrong = Vec::new();
    for krate in CRATES {
        visit(&root().join(krate).join("src"), &mut |file| {
            let is_root = ["lib.rs", "main.rs"].map(OsStr::new).map(Some);
            if is_root.contains(&file.file_name()) {
                return;
            }
            let text = std::fs::read_to_string(file).unwrap();
            // `use crate::Name` and `use crate::{Name, ..}` lead through the crate's root.
            for (at, import) in text.match_indices("use crate::") {
                let path = &text[at + import.len()..];
                for path in paths(path) {
                    if path.len() == 1 && path[0].starts_with(char::is_uppercase) {
                        wrong.push(format!("{}: {}", file.display(), path[0]));
                    }
                }
            }
        });
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_circle_of_imports_is_found() {
    let modules: BTreeSet<String> = ["a", "a::b", "c"].map(str::to_owned).into();
    let of = |name, text| imports(name, text, &modules);
    assert_eq!(
        of("c", "use crate::a::{b::Thing, Other};"),
        ["a", "a::b"].map(str::to_owned).into()
    );
    assert_eq!(
        of("a::b", "let x = super::f(); // crate::c"),
        ["a".to_owned()].into()
    );
    assert_eq!(of("a", "use crate::c;"), ["c".to_owned()].into());
}
