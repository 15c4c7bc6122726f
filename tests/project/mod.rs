//! Rules that the project keeps about its own files.

mod cycles;
mod documentation;
mod layering;
mod rule_fields;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::Program;
use crate::support::s3;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_graphql_is_what_the_program_prints() {
    let printed = Program::bare().ok(&["schema"]).await;
    assert!(
        printed == read("schema.graphql"),
        "schema.graphql is stale: run `cargo run -- schema > schema.graphql`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_md_is_made_from_the_settings() {
    let printed = Program::bare().ok(&["config", "--reference"]).await;
    assert!(
        printed == read("docs/configuration.md"),
        "docs/configuration.md is stale: run \
         `cargo run -- config --reference > docs/configuration.md`"
    );
}

#[test]
fn every_unit_test_is_run() {
    let mut tested = 0;
    for entry in std::fs::read_dir(root()).unwrap() {
        let krate = entry.unwrap().path();
        let Ok(manifest) = std::fs::read_to_string(krate.join("Cargo.toml")) else {
            continue;
        };
        let mut has_tests = false;
        visit(&krate.join("src"), &mut |file| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            has_tests |= text.contains("#[cfg(test)]");
        });
        assert!(
            !has_tests || manifest.lines().all(|line| line != "test = false"),
            "{}",
            krate.display()
        );
        tested += usize::from(has_tests);
    }
    assert!(tested >= 6, "{tested}");
}

#[test]
fn only_the_lake_touches_the_object_store_and_only_records_speak_sql_in_the_apis() {
    // Not crates of their own, or allowed to.
    let others = ["src", "benches", "tests", "lake"];
    for name in SOURCES.iter().filter(|name| !others.contains(name)) {
        assert!(
            !read(&format!("{name}/Cargo.toml")).contains("object_store"),
            "{name}"
        );
    }
    for name in ["http", "graphql", "rest", "promql", "web"] {
        let manifest = read(&format!("{name}/Cargo.toml"));
        assert!(!manifest.contains("sea-orm"), "{name}");
    }
}

/// Folders of Rust sources.
const SOURCES: [&str; 16] = [
    "src",
    "alerts",
    "benches",
    "common",
    "entities",
    "feeds",
    "graphql",
    "http",
    "jobs",
    "lake",
    "migrations",
    "model",
    "promql",
    "rest",
    "tests",
    "web",
];

/// Calls `with` for each source file: its path below the root, and its text.
fn each_source(mut with: impl FnMut(&Path, &str)) {
    for folder in SOURCES {
        visit(&root().join(folder), &mut |path| {
            if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                with(path.strip_prefix(root()).unwrap(), &text);
            }
        });
    }
}

/// Tests hold data in lines of any length.
#[test]
fn no_line_is_longer_than_100_characters() {
    let mut long = Vec::new();
    each_source(|path, text| {
        let lines = text.lines().enumerate();
        let too_long = lines.filter(|(_, line)| line.chars().count() > 100);
        if !path.starts_with("tests") {
            long.extend(too_long.map(|(index, _)| format!("{}:{}", path.display(), index + 1)));
        }
    });
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let mut long = Vec::new();
    each_source(|path, text| {
        let lines = text.lines().count();
        if lines > 400 {
            long.push(format!("{}: {lines}", path.display()));
        }
    });
    assert_eq!(long, Vec::<String>::new());
}

pub fn visit(folder: &Path, with: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, with);
        } else {
            with(&path);
        }
    }
}

fn python() -> PathBuf {
    let python = std::env::var_os("MARKETLAKE_TEST_PYTHON");
    PathBuf::from(python.expect(
        "MARKETLAKE_TEST_PYTHON names a Python with check-jsonschema and \
        DuckDB: run scripts/test, which makes one",
    ))
}

#[test]
fn docker_compose_yml_keeps_to_the_compose_specification() {
    let output = Command::new(python())
        .args([
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            "docker-compose.yml",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// The services of docker-compose.yml are set as the tests set theirs.
#[test]
fn docker_compose_yml_uses_settings_that_there_are() {
    let compose = read("docker-compose.yml");
    let mut program = Command::new(env!("CARGO_BIN_EXE_marketlake"));
    let mut names = Vec::new();
    for line in compose.lines() {
        let Some((name, value)) = line.trim().split_once(": ") else {
            continue;
        };
        if name.starts_with("MARKETLAKE_") {
            program.env(name, value.trim_matches('"').trim_matches('\''));
            names.push(name.to_owned());
        }
    }
    assert!(names.len() >= 8, "{names:?}");
    let output = program.arg("config").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains("postgres://marketlake:***@postgres") && said.contains("smtp://mail"),
        "{said}"
    );
    // The S3 server is the one that the tests talk to: same version, same keys, same bucket.
    let (dockerfile, lock) = (read("Dockerfile"), read("Cargo.lock"));
    let version = lock
        .split("name = \"s3s-fs\"\nversion = \"")
        .nth(1)
        .unwrap();
    let version = version.split('"').next().unwrap();
    assert!(
        dockerfile.contains(&format!("s3s-fs@{version}")),
        "{version}"
    );
    for setting in [s3::ACCESS_KEY, s3::SECRET_KEY] {
        assert!(dockerfile.contains(&format!("\"{setting}\"")), "{setting}");
        assert!(compose.contains(&format!(": \"{setting}\"")), "{setting}");
    }
    assert!(compose.contains(&format!("s3://{}/", s3::BUCKET)));
}
