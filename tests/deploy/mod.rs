//! Deployment on AWS: the templates, and the script that applies them.

mod jobs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::base::Base;
use crate::support::moto::Moto;
use crate::support::program::Program;

const TEMPLATES: [&str; 2] = ["deploy/template.yaml", "deploy/serverless.yaml"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn python(arguments: &[&str]) -> (bool, String) {
    let python = std::env::var("MARKETLAKE_TEST_PYTHON")
        .expect("MARKETLAKE_TEST_PYTHON: run scripts/test, which installs cfn-lint and moto");
    let mut command = Command::new(python);
    command.args(arguments).current_dir(root());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

async fn inspect(template: &str, what: &str, endpoint: &str) -> Value {
    let arguments = ["tests/deploy/stack.py", template, what, endpoint].map(str::to_owned);
    let run = move || python(&arguments.each_ref().map(String::as_str));
    let (is_well, said) = tokio::task::spawn_blocking(run).await.unwrap();
    let answer = said.lines().find(|line| line.starts_with('{'));
    assert!(is_well, "{said}");
    serde_json::from_str(answer.unwrap()).unwrap()
}

#[test]
fn templates_have_no_error_and_no_warning() {
    for template in TEMPLATES {
        let script = "import sys; from cfnlint.runner.cli import main; sys.exit(main())";
        let (is_well, said) = python(&["-c", script, template]);
        assert!(is_well && said.is_empty(), "{said}");
    }
}

/// A table of the statements, as the template's are told.
fn table(statement: &str) -> Value {
    let quoted = |text: &str, after: &str| {
        let rest = text.split(after).nth(1).unwrap();
        rest.split('\'').next().unwrap().to_owned()
    };
    let columns = statement.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("  `")?.split_once("` ")?;
        let kind = rest.split([' ', ',']).next().unwrap();
        let comment = rest
            .contains("comment '")
            .then(|| quoted(rest, "comment '"));
        Some(json!([name, kind, comment]))
    });
    let properties = statement.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("  '")?.split_once("' = '")?;
        let value = value.trim_end_matches(',').trim_end_matches('\'');
        Some((name.to_owned(), value.to_owned()))
    });
    json!({
        "comment": quoted(statement, "\n)\ncomment '"),
        "columns": columns.collect::<Vec<_>>(),
        "partitions": [["dt", "string"]],
        "location": quoted(statement, "\nlocation '"),
        "formats": [quoted(statement, "serde '"), quoted(statement, " inputformat '"), quoted(statement, "\noutputformat '")],
        "properties": properties.collect::<BTreeMap<_, _>>(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_s_tables_are_those_that_setup_makes() {
    let program = Program::bare().with("MARKETLAKE_STORE__URL", "s3://bucket/lake");
    let said = program.ok(&["athena", "setup", "--dry-run"]).await;
    let statements = said.split(";\n\n").filter(|s| s.contains("external table"));
    let name = |statement: &str| statement.split('`').nth(3).unwrap().to_owned();
    let made: BTreeMap<String, Value> = statements.map(|s| (name(s), table(s))).collect();
    assert_eq!(made.len(), 2);
    assert_eq!(made["rollups"]["columns"].as_array().unwrap().len(), 13);
    let of_template = inspect(TEMPLATES[0], "tables", "").await;
    assert_eq!(json!(made), of_template);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_has_settings_that_there_are() {
    for template in TEMPLATES {
        let tasks = inspect(template, "environment", "").await;
        for (name, task) in tasks.as_object().unwrap() {
            let mut program = Program::bare()
                .with("MARKETLAKE_DATABASE__URL", "postgres://database/x")
                .with("MARKETLAKE_MAIL__URL", "smtps://a:b@mail:465");
            for (name, value) in task["environment"].as_object().unwrap() {
                program = program.with(name, value.as_str().unwrap());
            }
            let said = program.ok(&["config"]).await;
            assert!(said.contains("s3://bucket/lake"), "{name}: {said}");
            let secrets = ["MARKETLAKE_DATABASE__URL", "MARKETLAKE_MAIL__URL"];
            assert_eq!(task["secrets"], json!(secrets), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moto_knows_of_a_template_is_made_by_a_change_set() {
    for (template, kinds, in_all) in [(TEMPLATES[0], 15, 75), (TEMPLATES[1], 8, 26)] {
        let (base, moto) = (Base::local().await, Moto::start().await);
        let report = inspect(template, "stack", &moto.endpoint).await;
        eprintln!("{template}: {report:#}");
        assert_eq!(report["status"], "CREATE_COMPLETE");
        assert_eq!(report["in_all"], in_all);
        assert!(
            report["kinds"].as_array().unwrap().len() >= kinds,
            "{report}"
        );
        let workgroups = report["workgroups"].as_array().unwrap();
        assert!(workgroups.len() >= 2, "{report}");
        if template == TEMPLATES[0] {
            assert_eq!(report["tables"], json!(["rollups", "samples"]));
        }
        // The bucket is as doctor wants it.
        let bucket = report["made"]["Bucket"].as_str().unwrap();
        let settings = moto.settings().into_iter();
        let program = settings.fold(Program::on(&base), |program, (name, value)| {
            program.with(name, value)
        });
        let program = program.with("MARKETLAKE_STORE__URL", format!("s3://{bucket}/lake"));
        let looks = program.json(&["doctor"]).await;
        let health = |what: &str| {
            let all = looks.as_array().unwrap();
            let found = all.iter().find(|look| look["check"] == what);
            found.map(|look| look["health"].clone())
        };
        for what in ["put", "lifecycle", "public access"] {
            assert_eq!(health(what), Some(json!("good")), "{what}: {looks:#}");
        }
    }
}

fn deploy(arguments: &[&str]) -> (i32, String, String) {
    // No AWS, no Docker.
    let mut command = Command::new("bash");
    command.arg("deploy/deploy.sh").args(arguments);
    command
        .current_dir(root())
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

#[test]
fn a_dry_run_prints_every_step_where_there_is_no_aws() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parameters");
    let text = "# Ours.\nPublicUrl=https://lake.example\nFeeds=[{kind=\"binance\"}]\nSmtpPassword=secret\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let (code, steps, log) = deploy(&["lake", "--parameters", file, "--dry-run"]);
    assert_eq!(code, 0, "{log}");
    let expected = [
        "ecr create-repository",
        "docker build",
        "docker push",
        "validate-template",
        "create-change-set",
        "describe-change-set",
        "execute-change-set",
        "wait stack-create-complete",
        "\"athena\",\"setup\"",
        "smoke '<PublicUrl>' --wait 10m",
    ];
    let mut rest = steps.as_str();
    for step in expected {
        let at = rest.find(step);
        rest = &rest[at.unwrap_or_else(|| panic!("no {step} in its place: {steps}"))..];
    }
    assert!(
        !steps.contains("secret") && !log.contains("secret"),
        "{steps}"
    );
    let (code, steps, _) = deploy(&["destroy", "lake", "--dry-run"]);
    assert_eq!(code, 0);
    assert!(
        steps.contains("delete-stack") && !steps.contains("s3 rm"),
        "{steps}"
    );
    let (code, steps, _) = deploy(&["destroy", "lake", "--with-data", "--dry-run"]);
    assert_eq!(code, 0);
    assert!(steps.contains("s3 rm"), "{steps}");
}

#[test]
fn what_the_script_cannot_use_is_named() {
    for (arguments, problem) in [
        (&["Lake"][..], "STACK: expected a to z"),
        (&[][..], "STACK: expected the stack's name"),
        (&["lake", "--fast"][..], "--fast: expected"),
        (
            &["lake", "--parameters", "nowhere"][..],
            "nowhere: cannot be read",
        ),
        (&["lake"][..], "aws is missing"),
    ] {
        let (code, _, log) = deploy(arguments);
        assert_eq!(code, 2, "{log}");
        assert!(log.contains(problem), "{problem}: {log}");
    }
}
