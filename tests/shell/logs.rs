//! Logs of the program.

use serde_json::Value;

use crate::support::base::Base;
use crate::support::program::Program;

fn objects(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_a_json_log_is_an_object_and_one_says_what_runs() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_LOG__FORMAT", "json")
        .with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
    let mut server = program.up(&["--role", "api", "--role", "scheduler"]).await;
    server.interrupt().await;
    let lines = objects(&server.end_log());
    let starts: Vec<&Value> = lines
        .iter()
        .map(|line| &line["fields"])
        .filter(|fields| fields["message"] == "marketlake starts")
        .collect();
    let [start] = starts[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(start["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(start["feeds"], "simulated");
    assert_eq!(start["roles"], "api,scheduler");
    for field in ["database", "store", "address"] {
        assert!(start[field].is_string(), "{start}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_ends_the_program_is_an_object_of_a_json_log_too() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_LOG__FORMAT", "json")
        .with("MARKETLAKE_DATABASE__URL", "postgres://x@127.0.0.1:1/x");
    let said = program.run(&["check"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    let lines = objects(&said.err);
    let last = lines.last().unwrap();
    assert!(
        last.to_string().contains("cannot reach the database"),
        "{last}"
    );
}
