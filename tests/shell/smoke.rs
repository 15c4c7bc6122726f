//! `marketlake smoke` on a healthy server, on an empty lake, and on another server.

use axum::Router;
use axum::routing::any;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::rest::{HISTORY, serve, serve_with};
use crate::support::base::{Base, on_both};
use crate::support::client::key;
use crate::support::program::{Program, Said};

/// Names of the probes in a state.
fn looks(said: &Said, state: &str) -> Vec<String> {
    let all: Vec<Value> = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    let of_state = all.iter().filter(|look| look["state"] == state);
    of_state
        .map(|look| look["check"].as_str().unwrap().to_owned())
        .collect()
}

/// Runs the probes without an operator key.
async fn smoke(url: &str, more: &[&str]) -> Said {
    let all = [&["smoke", url, "--format", "json"], more].concat();
    let program = Program::bare().with("MARKETLAKE_DATA", "/nowhere");
    program.run(&all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_well_has_every_route_and_field() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let said = smoke(&server.url(""), &["--wait", "30s"]).await;
        assert_eq!(
            (said.code, looks(&said, "bad")),
            (0, Vec::new()),
            "{said:?}"
        );
        assert_eq!(looks(&said, "skipped"), ["/v1/subscriptions"]);
        let good = looks(&said, "good");
        for what in [
            "/healthz",
            "/graphql/ws",
            "graphql: schema",
            "graphql: rank",
            "graphql: slots, as events",
        ] {
            assert!(good.iter().any(|one| one == what), "{what}: {good:?}");
        }
        assert!(good.len() >= 30, "{good:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_needs_a_key_is_told_and_is_let_in_with_it() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_AUTH__ANONYMOUS", "none");
    let server = serve_with(&program, &base, HISTORY).await;
    let said = smoke(&server.url(""), &[]).await;
    assert_eq!(said.code, 1);
    assert!(said.out.contains("status 401"), "{said:?}");
    let file = base.path().join("key");
    std::fs::write(&file, format!("{}\n", key(&program, "read,alerts").await)).unwrap();
    let said = smoke(&server.url(""), &["--key", &format!("@{}", file.display())]).await;
    assert_eq!(
        (said.code, looks(&said, "bad"), looks(&said, "skipped")),
        (0, Vec::new(), Vec::new()),
        "{said:?}"
    );
    let said = smoke(&server.url(""), &["--key", "@/nowhere"]).await;
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--key @/nowhere"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_empty_lake_what_has_no_answer_is_skipped() {
    let base = Base::local().await;
    let server = Program::on(&base)
        .with("MARKETLAKE_FEEDS", "[]")
        .up(&["--role", "api"])
        .await;
    let said = smoke(&server.url("/"), &[]).await;
    assert_eq!(
        (said.code, looks(&said, "bad")),
        (0, Vec::new()),
        "{said:?}"
    );
    let skipped = looks(&said, "skipped");
    assert!(skipped.contains(&"graphql: rank".to_owned()), "{skipped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_is_found_out() {
    let nobody = smoke("http://127.0.0.1:9", &[]).await;
    assert_eq!(
        (nobody.code, looks(&nobody, "bad")),
        (1, vec!["/readyz".to_owned()])
    );
    // It says yes to everything.
    let router = Router::new().fallback(any(|| async { "{}" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let said = smoke(&url, &[]).await;
    assert_eq!(said.code, 1);
    let good = ["/readyz", "/healthz"].map(str::to_owned);
    assert_eq!(looks(&said, "good"), good, "{said:?}");
    let said = smoke("ftp://127.0.0.1", &[]).await;
    assert_eq!(said.code, 2);
}
