//! The CLI: its output and its exit codes.

mod coverage;
mod feeds;
mod logs;
mod settings;
mod smoke;

use crate::support::base::{Base, on_both};
use crate::support::program::Program;

fn file(base: &Base, name: &str, content: &str) -> String {
    let path = base.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_does_not_parse_keeps_everything_out_unless_told_to_go_on() {
    on_both(async |base: Base| {
        let program = Program::on(&base);
        let path = file(&base, "h.csv", "metric,ts,value\na:b,2026-01-01T00:00:00Z,1\na:b,2026-01-01T00:01:00Z,oops\na:b,2026-01-01T00:02:00Z,3\n");
        let said = program.run(&["import", &path]).await;
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert_eq!(said.err, format!("marketlake: {path}:3: value: expected a decimal number, got \
            \"oops\"\n"));
        assert_eq!(program.ok(&["metrics", "--format", "csv"]).await, "metric,id,market,pair,measure\n");
        let said = program.run(&["import", "--keep-going", &path]).await;
        assert_eq!(said.code, 0);
        assert!(said.err.contains(&format!("{path}:3: value: expected a decimal number")), "{said:?}");
        assert_eq!(said.out, "import: 2 samples of 1 metrics from 1 files, 1 lines refused; 2 \
            new, 0 corrected; the lake holds 2 samples in 1 segments\n");
        assert_eq!(program.ok(&["check"]).await.split(", ").take(2).collect::<Vec<_>>(), ["check: 1 segments", "2 rows"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_as_table_json_and_csv() {
    on_both(async |base: Base| {
        let program = Program::on(&base);
        let path = file(&base, "h.csv", "x:a,2026-01-01T00:00:00Z,1.50\nx:a,2026-01-01T00:01:00Z,2\nx:b,2026-01-01T00:01:00Z,9\n");
        program.ok(&["import", &path]).await;
        assert_eq!(program.ok(&["timeseries", "a", "--format", "csv"]).await, "metric,timestamp,value\na,2026-01-01T00:00:00Z,1.5\na,2026-01-01T00:01:00Z,2\n");
        assert_eq!(
            program.ok(&["timeseries", "x:a", "--from", "2026-01-01T00:01:00Z", "--format", "json"]).await,
            "[{\"metric\":\"a\",\"timestamp\":\"2026-01-01T00:01:00Z\",\"value\":2}]\n"
        );
        assert_eq!(
            program.ok(&["metrics"]).await,
            "METRIC  ID   MARKET  PAIR  MEASURE\na       x:a  x       a     price\nb       x:b  x       b     price\n"
        );
        for engine in ["datafusion", "memory"] {
            let rank = program.json(&["rank", "a", "--engine", engine]).await;
            assert_eq!((&rank[0]["display"], &rank[0]["id"]), (&"1/1".into(), &"x:a".into()));
            let unranked = program.json(&["rank", "b", "--engine", engine]).await;
            assert!(unranked[0]["rank"].is_null());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jumps_show_the_numbers_that_prove_them() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let mut lines: String = (0..60)
        .map(|m| format!("x:a,2026-01-01T00:{m:02}:00Z,0.1\n"))
        .collect();
    lines += "x:a,2026-01-01T01:00:00Z,0.4\n";
    let path = file(&base, "h.csv", &lines);
    program.ok(&["import", &path]).await;
    for engine in ["datafusion", "memory"] {
        let out = program
            .ok(&[
                "jumps", "--metric", "a", "--format", "json", "--engine", engine,
            ])
            .await;
        assert_eq!(
            out,
            "[{\"metric\":\"a\",\"timestamp\":\"2026-01-01T01:00:00Z\",\"value\":0.4,\"mean\":0.1,\"ratio\":4}]\n"
        );
    }
    assert_eq!(
        program
            .ok(&["jumps", "--factor", "4", "--format", "json"])
            .await,
        "[]\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn compact_vacuum_and_check_end_with_a_line_of_figures() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]")
        .with("MARKETLAKE_JOBS__VACUUM_GRACE_PERIOD", "0s");
    for slot in ["2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"] {
        program.ok(&["run", "ingest-minute", "--slot", slot]).await;
    }
    let compacted = program.ok(&["compact"]).await;
    assert!(
        compacted.starts_with(
            "compact: 1 hours and 1 days compacted, 0 failed; 1 segments, 160 samples, "
        ),
        "{compacted}"
    );
    assert_eq!(
        program.ok(&["vacuum"]).await,
        "vacuum: 0 segments expired; 3 retired segments, 0 unlisted objects deleted\n"
    );
    let checked = program.ok(&["check", "--deep"]).await;
    assert!(
        checked.starts_with("check: 1 segments, 160 rows, ")
            && checked.ends_with(
                ", 0 retired, 0 set aside, 0 unlisted objects, 0 unknown \
                objects, 0 foreign files, 0 problems, 0 repaired, 0 rows lost\n"
            ),
        "{checked}"
    );
    std::fs::remove_file(&base.object_files()[0]).unwrap();
    let broken = program.run(&["check"]).await;
    assert_eq!(broken.code, 1);
    assert!(broken.out.contains("the object is missing\n"), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_usage_ends_with_status_2() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let cases = [
        (
            program.clone(),
            vec!["run", "nonsense", "--slot", "2026-01-01T00:00:00Z"],
            "job: expected one of ingest-minute, fill-gaps, detect-jumps",
        ),
        (
            program.clone(),
            vec!["run", "compact-daily", "--slot", "2026-01-01T12:00:00Z"],
            "--slot: expected the start of a day (UTC), got 2026-01-01T12:00:00Z",
        ),
        (
            program.clone(),
            vec!["run", "compact-hourly", "--slot", "2026-01-01T12:30:00Z"],
            "--slot: expected the start of an hour (UTC), got 2026-01-01T12:30:00Z",
        ),
        (
            program.clone(),
            vec!["run", "ingest-minute", "--slot", "2026-01-01T12:30:30Z"],
            "--slot: expected the start of a minute (UTC), got 2026-01-01T12:30:30Z",
        ),
        (
            program.clone(),
            vec!["run", "vacuum", "--slot", "noon"],
            "--slot: expected a time as RFC 3339",
        ),
        (
            program.clone(),
            vec!["run", "vacuum", "--slot", "2199-01-01T00:00:00Z"],
            "--slot: 2199-01-01T00:00:00Z is in the future",
        ),
        (
            program.clone(),
            vec!["rank", "nope"],
            "no metric \"nope\" was ever recorded",
        ),
        (
            program.clone(),
            vec!["--config", "/nowhere.toml", "config"],
            "--config /nowhere.toml: No such file",
        ),
    ];
    for (program, arguments, expected) in cases {
        let said = program.run(&arguments).await;
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.err.contains(expected), "{arguments:?}: {}", said.err);
        assert!(!said.err.contains("secret"), "{}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_reached_is_named_at_start() {
    let base = Base::remote().await;
    let program = Program::on(&base).with("MARKETLAKE_STORE__ENDPOINT", "http://127.0.0.1:1");
    let said = program.run(&["check"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err
            .contains("setting store.url = \"s3://lake/some/prefix\": cannot reach the store"),
        "{said:?}"
    );
}

/// Names of the subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let Some(list) = help.split("Commands:\n").nth(1) else {
        return Vec::new();
    };
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

/// A debug build also checks the definition of each command whose help is printed.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_help_with_an_example() {
    let (mut open, mut commands) = (vec![Vec::new()], 0);
    while let Some(path) = open.pop() {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        let out = Program::bare()
            .ok(&[&words[..], &["--help"]].concat())
            .await;
        let below = subcommands(&out);
        if below.is_empty() {
            assert!(
                out.contains("Example: marketlake")
                    && out.contains("--config <FILE>")
                    && out.contains("--data <DIR>"),
                "{path:?}: {out}"
            );
            commands += 1;
        }
        open.extend(below.into_iter().map(|name| [&path[..], &[name]].concat()));
    }
    assert!(commands >= 40, "{commands} commands");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_history_is_refused_with_its_line() {
    let base = Base::local().await;
    let program = Program::on(&base);
    for (line, expected) in [
        (
            "a:b,2199-01-01T00:00:00Z,1",
            "ts 2199-01-01T00:00:00Z is in the future",
        ),
        (
            "a:b,1516423980,1",
            "ts 1516423980 is before 2009: expected RFC 3339 or epoch milliseconds",
        ),
        (
            "a:b:volume,2026-01-01T00:00:00Z,-1",
            "value: expected a volume of zero or more, got -1",
        ),
        (
            "a:b,2026-01-01T00:00:00Z,1e40",
            "value: 1e40 does not fit: expected at most 18 digits, between 1e-30 and 1e30",
        ),
        (
            "b,2026-01-01T00:00:00Z,1",
            "metric: \"b\" has no market, expected an id like binance:hottry, or --market",
        ),
    ] {
        let path = file(&base, "h.csv", line);
        let said = program.run(&["import", &path]).await;
        assert_eq!(
            (said.code, said.err),
            (1, format!("marketlake: {path}:1: {expected}\n"))
        );
    }
    let missing = program.run(&["import", "/nowhere.csv"]).await;
    assert_eq!(missing.code, 1);
    assert!(
        missing
            .err
            .starts_with("marketlake: cannot read /nowhere.csv: No such file"),
        "{missing:?}"
    );
    assert_eq!(base.object_files().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_can_be_json() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_LOG__FORMAT", "json")
        .with("MARKETLAKE_FEEDS", "[]");
    let mut server = program.up(&["--role", "scheduler", "--role", "api"]).await;
    server.interrupt().await;
    let log = server.end_log();
    let stopping = log
        .lines()
        .find(|line| line.contains("stopping"))
        .unwrap_or_else(|| panic!("{log}"));
    let line: serde_json::Value = serde_json::from_str(stopping).unwrap();
    assert_eq!(
        (&line["level"], &line["target"]),
        (&"INFO".into(), &"marketlake::wiring::shutdown".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_may_have_any_name() {
    let base = Base::local().await;
    let folder = base.path().join("a b#c?d%20e ü");
    let data = folder.to_str().unwrap();
    let path = file(&base, "h.csv", "x:a,2026-01-01T00:00:00Z,1.5\n");
    let program = Program::bare();
    program.ok(&["--data", data, "import", &path]).await;
    assert_eq!(
        program
            .ok(&["--data", data, "timeseries", "a", "--format", "csv"])
            .await,
        "metric,timestamp,value\na,2026-01-01T00:00:00Z,1.5\n"
    );
    assert!(folder.join("marketlake.db").is_file() && folder.join("lake/day").is_dir());
}
