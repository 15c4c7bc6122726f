//! The operations listener: health and `/metrics`, by every role.

use crate::rest::{HISTORY, serve, serve_with};
use crate::support::base::Base;
use crate::support::client::{Client, key};
use crate::support::eventually;
use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_on_the_operations_listener_alone_and_health_on_both() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    assert_eq!(server.operator().get("/metrics").await.status.as_u16(), 404);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).await.status().as_u16(), 200, "{path}");
        let there = reqwest::get(server.operations_url(path)).await.unwrap();
        assert_eq!(there.status().as_u16(), 200, "{path}");
    }
    let there = Client::of_operations(&server);
    assert!(
        there
            .get("/metrics")
            .await
            .text()
            .contains("marketlake_lake_segments 1")
    );
    assert_eq!(there.get("/v1/metrics").await.status.as_u16(), 404);
    // A request through a proxy, or to another name, is not from this machine.
    for (name, value) in [
        ("host", "evil.example:8081"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy"),
        ("x-real-ip", "127.0.0.1"),
        ("authorization", "Bearer nonsense"),
    ] {
        let refused = there.with(name, value).get("/metrics").await;
        assert_eq!(refused.status.as_u16(), 401, "{name}: {value}");
    }
    let foreign = there
        .with("origin", "https://evil.example")
        .get("/metrics")
        .await;
    assert!(!foreign.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_reach_it_metrics_need_a_key_for_them() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_OPERATIONS__LISTEN", "0.0.0.0:0");
    let server = serve_with(&program, &base, HISTORY).await;
    let there = Client::of_operations(&server);
    assert_eq!(there.get("/healthz").await.status.as_u16(), 200);
    assert_eq!(there.get("/metrics").await.status.as_u16(), 401);
    for (scopes, expected) in [("read,alerts", 403), ("metrics", 200), ("admin", 200)] {
        let key = key(&program, scopes).await;
        let answer = there.with_key(&key).get("/metrics").await;
        assert_eq!(answer.status.as_u16(), expected, "{scopes}");
    }
    let operator = there.with_key(&server.operator_key());
    assert_eq!(operator.get("/metrics").await.status.as_u16(), 200);
    // A key for them opens nothing else.
    let scraper = Client::of(&server).with_key(&key(&program, "metrics").await);
    assert_eq!(scraper.get("/v1/metrics").await.status.as_u16(), 403);
    assert_eq!(super::operators_only(&scraper).await, "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_has_one_unless_it_is_switched_off() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[]");
    for role in ["scheduler", "deliver"] {
        let server = program.up_without_api(&["--role", role]).await;
        let url = server.operations_url("/readyz");
        eventually("the role to be ready", async || {
            let answer = reqwest::get(&url).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        assert!(
            server
                .metrics()
                .await
                .contains("marketlake_lake_segments 0")
        );
    }
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (listen, expected) in [
        (
            address.as_str(),
            "another process of this machine needs another port, or off",
        ),
        (
            "everywhere",
            "expected address:port like 127.0.0.1:8081, or off",
        ),
    ] {
        let program = program
            .clone()
            .with("MARKETLAKE_OPERATIONS__LISTEN", listen);
        let said = program.run(&["up"]).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.err
                .contains(&format!("operations.listen = \"{listen}\"")),
            "{said:?}"
        );
        assert!(said.err.contains(expected), "{said:?}");
    }
    let off = program.with("MARKETLAKE_OPERATIONS__LISTEN", "off");
    let server = off.up(&["--role", "api"]).await;
    assert_eq!(server.get("/readyz").await.status().as_u16(), 200);
}
