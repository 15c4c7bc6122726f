//! The examples of README.md and docs/*.md: a test runs each, or `ELSEWHERE` says why not.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{read, root};
use crate::rest::serve_with;
use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::program::Program;

/// Examples that no test of this file runs, by page and beginning: another test runs them, or
/// the reason why none does.
const ELSEWHERE: [(&str, &str, &str); 34] = [
    ("README.md", "scripts/demo", "it serves until it is stopped"),
    ("README.md", "scripts/test", "it runs this test"),
    ("README.md", "cargo install", "needs crates.io"),
    (
        "docs/alerts.md",
        "import hashlib, hmac",
        "tests/alerts/webhooks.rs checks a signature",
    ),
    (
        "docs/alerts.md",
        "tests:",
        "tests/alerts/rule_tests.rs runs it",
    ),
    ("docs/api.md", "const answer = await fetch", "needs Node"),
    ("docs/api.md", "import { createClient }", "needs Node"),
    (
        "docs/api.md",
        "curl -N",
        "it streams until it is stopped: tests/graphql/live.rs",
    ),
    (
        "docs/api.md",
        "import pandas as pd",
        "tests/rest/formats.rs reads Arrow by pyarrow",
    ),
    ("docs/api.md", "promtool query instant", "needs Prometheus"),
    ("docs/api.md", "promtool query range", "needs Prometheus"),
    (
        "docs/api.md",
        "curl http://127.0.0.1:8080/v1/subscriptions",
        "tests/rest/subscriptions.rs",
    ),
    ("docs/aws.md", "select metric, avg(value)", "needs AWS"),
    (
        "docs/aws.md",
        "deploy/deploy.sh lake --parameters lake.txt --dry-run",
        "tests/deploy",
    ),
    (
        "docs/aws.md",
        "deploy/deploy.sh lake --parameters lake.txt",
        "needs AWS",
    ),
    ("docs/aws.md", "deploy/deploy.sh destroy lake", "needs AWS"),
    (
        "docs/health.md",
        "{\"ready\": false",
        "an answer: tests/jobs/readiness.rs",
    ),
    (
        "docs/lake.md",
        "{\"format\":1",
        "a footer: tests/lake/lake_file.rs",
    ),
    (
        "docs/lake.md",
        "import sqlite3",
        "tests/lake/tools.rs runs it",
    ),
    (
        "docs/lake.md",
        "import duckdb",
        "tests/lake/tools.rs runs it",
    ),
    (
        "docs/lake.md",
        "import polars as pl",
        "tests/lake/tools.rs runs it",
    ),
    (
        "docs/lake.md",
        "import pandas as pd",
        "tests/lake/tools.rs runs it",
    ),
    (
        "docs/lake.md",
        "import datafusion",
        "tests/lake/tools.rs runs it",
    ),
    ("docs/lake.md", "prices = spark", "needs Spark"),
    (
        "docs/operations.md",
        "sqlite3 data/marketlake.db",
        "tests/end_to_end/restore.rs runs its SQL",
    ),
    ("docs/operations.md", "rsync -a", "needs rsync"),
    (
        "docs/operations.md",
        "pg_dump",
        "tests/end_to_end/restore.rs",
    ),
    ("docs/operations.md", "aws s3api", "needs AWS"),
    (
        "docs/performance.md",
        "benches/run everything",
        "takes twenty minutes",
    ),
    (
        "docs/performance.md",
        "benches/run answers",
        "takes minutes",
    ),
    (
        "docs/reverse-proxy.md",
        "map $http_upgrade",
        "tests/access/proxy.rs runs it",
    ),
    ("docs/reverse-proxy.md", "lake.example.com {", "needs Caddy"),
    (
        "docs/reverse-proxy.md",
        "curl -fsS https://lake",
        "needs a public host",
    ),
    (
        "docs/reverse-proxy.md",
        "curl -s -o /dev/null",
        "needs a public host",
    ),
];

/// Commands of the program that are only parsed, by beginning, and the reason.
const PARSED_ONLY: [(&str, &str); 4] = [
    ("up", "it serves until it is stopped"),
    ("backfill", "needs Binance: tests/jobs/backfill.rs runs it"),
    (
        "deliveries requeue",
        "needs a dead delivery: tests/alerts/operators.rs runs it",
    ),
    (
        "keys revoke",
        "needs a key of that id: tests/access runs it",
    ),
];

/// Samples of the metrics that the pages name.
const HISTORY: &str = "metric,ts,value
binance:hottry,2026-11-24T10:00:00Z,0.06076
binance:hottry:volume,2026-11-24T10:00:00Z,12
binance:btcusdt,2026-11-24T10:00:00Z,97000.5
binance:btcusdt,2026-11-24T10:01:00Z,97001
binance:btcusdt:volume,2026-11-24T10:00:00Z,3.5
";

/// A fenced block, or a command of one.
#[derive(Debug)]
struct Example {
    page: String,
    language: String,
    text: String,
}

impl Example {
    fn is_of_the_program(&self) -> bool {
        self.language == "sh" && self.text.starts_with("marketlake ")
    }

    fn is_of_the_api(&self) -> bool {
        self.language == "graphql"
            || (self.language == "sh" && self.text.starts_with("curl ") && !self.is_elsewhere())
    }

    fn is_elsewhere(&self) -> bool {
        ELSEWHERE.iter().any(|entry| self.is(entry))
    }

    fn is(&self, (page, beginning, _): &(&str, &str, &str)) -> bool {
        let words = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.page == *page && words.starts_with(beginning)
    }
}

/// Pages of the documentation.
fn pages() -> Vec<String> {
    let files = std::fs::read_dir(root().join("docs")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = names
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    pages.push("README.md".to_owned());
    pages
}

/// Examples of all pages; a block without a language holds commands, one of `text` is none.
fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    for page in pages() {
        let content = read(&page);
        for block in content.split("\n```").skip(1).step_by(2) {
            let (language, text) = block.split_once('\n').unwrap();
            let example = |language: &str, text: &str| Example {
                page: page.clone(),
                language: language.to_owned(),
                text: text.to_owned(),
            };
            match language {
                "text" => (),
                "" | "sh" => {
                    examples.extend(commands(text).iter().map(|line| example("sh", line)));
                }
                language => examples.push(example(language, text)),
            }
        }
    }
    assert!(examples.len() > 40, "{examples:#?}");
    examples
}

/// Commands of a block: a line, with those that it goes on in.
fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match commands.last_mut().filter(|_| goes_on) {
            Some(command) => *command = format!("{command}\n{line}"),
            None => commands.push(line.to_owned()),
        }
        let command = &commands[commands.len() - 1];
        let is_quoted = !command.matches('\'').count().is_multiple_of(2);
        // Calls of the program take one line; an apostrophe is of the remark behind.
        let is_call = command.starts_with("marketlake ");
        goes_on = line.ends_with('\\') || (is_quoted && !is_call);
    }
    commands
}

#[test]
fn every_example_of_the_documentation_is_run_or_says_why_not() {
    let examples = examples();
    let is_run = |it: &Example| {
        it.language == "toml" || it.is_of_the_program() || it.is_of_the_api() || it.is_elsewhere()
    };
    let missing: Vec<_> = examples.iter().filter(|it| !is_run(it)).collect();
    assert!(missing.is_empty(), "no test runs {missing:#?}");
    let is_stale = |entry: &&_| !examples.iter().any(|it| it.is(entry));
    let stale: Vec<_> = ELSEWHERE.iter().filter(is_stale).collect();
    assert!(stale.is_empty(), "no example begins so: {stale:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_toml_example_loads_as_settings() {
    let folder = tempfile::tempdir().unwrap();
    for example in examples().iter().filter(|it| it.language == "toml") {
        let file: PathBuf = folder.path().join("marketlake.toml");
        std::fs::write(&file, &example.text).unwrap();
        let arguments = ["--config", file.to_str().unwrap(), "config"];
        let said = Program::bare().run(&arguments).await;
        assert_eq!(said.code, 0, "{example:#?}: {}", said.err);
    }
}

/// Each command runs on a lake with history, with a file, an address and rules for those that the
/// pages name. The program's own parser takes those of `PARSED_ONLY`.
#[tokio::test(flavor = "multi_thread")]
async fn every_documented_command_of_the_program_runs() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[]");
    let server = serve_with(&program, &base, HISTORY).await;
    let examples = examples();
    let rules = examples.iter().find(|it| it.text.starts_with("tests:"));
    std::fs::write(base.path().join("rules.yaml"), &rules.unwrap().text).unwrap();
    let stand_ins = [
        ("FILE..", path_in(&base, "history.csv")),
        ("my-rules.yaml", path_in(&base, "rules.yaml")),
        ("https://lake.example.com", server.url("")),
    ];
    let mut parsed = Vec::new();
    for example in examples.iter().filter(|it| it.is_of_the_program()) {
        for command in calls(&example.text) {
            let stand_in = |word| stand_ins.iter().find(|(name, _)| *name == word);
            let words = command.split_whitespace();
            let words = words.map(|word| stand_in(word).map_or(word, |(_, value)| value));
            let mut arguments: Vec<&str> = words.collect();
            let mut only = PARSED_ONLY.iter().map(|(beginning, _)| *beginning);
            if let Some(only) = only.find(|only| command.starts_with(only)) {
                arguments.push("--help");
                parsed.push(only);
            }
            let said = program.run(&arguments).await;
            assert_eq!(said.code, 0, "{}: {arguments:?}: {said:?}", example.page);
        }
    }
    let is_stale = |only: &&(&str, &str)| !parsed.contains(&only.0);
    let stale: Vec<_> = PARSED_ONLY.iter().filter(is_stale).collect();
    assert!(stale.is_empty(), "no command begins so: {stale:?}");
}

fn path_in(base: &Base, name: &str) -> String {
    base.path().join(name).to_str().unwrap().to_owned()
}

/// Calls of a line without the program's name: `;` is between two, a remark is behind three spaces
/// or a `#`.
fn calls(line: &str) -> Vec<&str> {
    let line = line.split('#').next().unwrap();
    let line = line.split("   ").next().unwrap();
    let calls = line.split(';').map(str::trim);
    calls
        .map(|call| call.strip_prefix("marketlake ").unwrap_or(call))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_request_is_answered() {
    let base = Base::local().await;
    let server = serve_with(&Program::on(&base), &base, HISTORY).await;
    for example in examples().iter().filter(|it| it.is_of_the_api()) {
        let answer = if example.language == "graphql" {
            Client::of(&server).graphql(&example.text).await
        } else {
            let command = example
                .text
                .replace("http://127.0.0.1:8080", &server.url(""));
            let command = command.replacen("curl ", "curl -sS --fail-with-body --max-time 20 ", 1);
            let output = Command::new("sh")
                .args(["-c", &command])
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{example:#?}: {said}");
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("{example:#?}: {said}"))
        };
        assert!(answer.get("errors").is_none(), "{example:#?}: {answer}");
        let errors = answer.pointer("/data/createSubscription/userErrors");
        let is_refused =
            errors.is_some_and(|errors| errors.as_array().is_none_or(|e| !e.is_empty()));
        assert!(!is_refused, "{example:#?}: {answer}");
    }
}
