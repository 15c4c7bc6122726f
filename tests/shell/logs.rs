//! Logs of the program.

use serde_json::Value;

use crate::project::visit;
use crate::rest::{HISTORY, serve_with};
use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::eventually;
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
    for (url, expected) in [
        ("postgres://x@127.0.0.1:1/x", "cannot reach the database"),
        ("mysql://x", "expected sqlite://FILE or postgres://"),
    ] {
        let program = Program::on(&base)
            .with("MARKETLAKE_LOG__FORMAT", "json")
            .with("MARKETLAKE_DATABASE__URL", url);
        let said = program.run(&["check"]).await;
        assert_eq!(said.code, 2, "{said:?}");
        let lines = objects(&said.err);
        let last = lines.last().unwrap();
        assert!(last.to_string().contains(expected), "{last}");
    }
    let unknown = Program::bare()
        .with("MARKETLAKE_LOG__FORMAT", "json")
        .with("MARKETLAKE_SERVER__LISTNE", "x");
    let said = unknown.run(&["check"]).await;
    assert!(
        objects(&said.err)[0].to_string().contains("listne"),
        "{said:?}"
    );
}

/// The span of this name in which a line was logged, if any.
fn span<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    let spans = line["spans"].as_array()?;
    spans.iter().find(|span| span["name"] == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_request_a_run_and_a_delivery_name_their_ids() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_LOG__FORMAT", "json")
        .with(
            "RUST_LOG",
            "info,marketlake_http=debug,marketlake_alerts=debug",
        )
        .with("MARKETLAKE_MAIL__URL", "smtp://127.0.0.1:1")
        .with(
            "MARKETLAKE_FEEDS",
            r#"[{kind="binance", mode="poll", base_url="http://127.0.0.1:1"}]"#,
        );
    let file = base.path().join("history.csv");
    std::fs::write(&file, HISTORY).unwrap();
    program.ok(&["import", file.to_str().unwrap()]).await;
    let mut server = program.up(&[]).await;
    let client = Client::of(&server);

    let own = client
        .with("x-request-id", "from-a-proxy")
        .get("/v1/metrics")
        .await;
    assert_eq!(own.headers["x-request-id"], "from-a-proxy");
    let made = client.get("/v1/metrics").await;
    let made = made.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(made.len(), 32, "{made}");
    let create = r#"mutation { createSubscription(input: {metric: "tie", address: "a@example.com"}) { userErrors { code } } }"#;
    server.graphql(create).await;

    let is_logged = |name: &str, id: &str| {
        let log = server.log();
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.any(|line: Value| span(&line, name).is_some_and(|span| span["id"] == id))
    };
    eventually("each line to be logged", async || {
        let log = server.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let lines: Vec<Value> = lines.collect();
        let of = |message: &str, name: &str| {
            let mut of = lines
                .iter()
                .filter(|line| line["fields"]["message"] == message);
            of.any(|line| span(line, name).is_some_and(|span| !span["id"].is_null()))
        };
        let all = is_logged("request", "from-a-proxy")
            && is_logged("request", &made)
            && of("run failed", "job_run")
            && of("not sent", "delivery");
        all.then_some(())
    })
    .await;
    server.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fails_names_the_id_under_which_the_log_says_why() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_LOG__FORMAT", "json");
    let mut server = serve_with(&program, &base, HISTORY).await;
    // The last 24 hours are in memory; what is before is read from the files.
    visit(base.path(), &mut |file| {
        if file.extension().is_some_and(|ending| ending == "parquet") {
            std::fs::write(file, "damaged").unwrap();
        }
    });
    let client = Client::of(&server).with("x-request-id", "a-request-that-fails");
    let from = "2026-11-20T00:00:00Z";
    let path = format!("/v1/metric/hottry/timeseries?from={from}");
    let rest = client.get(&path).await;
    assert_eq!(rest.status, 503, "{rest:?}");
    assert!(rest.text().contains("a-request-that-fails"), "{rest:?}");
    let query = format!(
        r#"{{ timeseries(metrics: ["hottry"], from: "{from}") {{ samples {{ nodes {{ value }} }} }} }}"#
    );
    let graphql = client.graphql(&query).await;
    let id = &graphql["errors"][0]["extensions"]["id"];
    assert_eq!(id, "a-request-that-fails", "{graphql}");
    server.interrupt().await;
    let lines = objects(&server.end_log());
    let failed = lines
        .iter()
        .filter(|line| line["fields"]["message"] == "request failed");
    let ids: Vec<&Value> = failed
        .map(|line| &span(line, "request").unwrap()["id"])
        .collect();
    assert_eq!(ids, ["a-request-that-fails"; 2], "{lines:?}");
}
