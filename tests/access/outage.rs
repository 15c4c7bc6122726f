//! Keys while the database is gone: those that were valid lately can read, and do nothing else.

use crate::rest::{HISTORY, serve_with};
use crate::support::base::Base;
use crate::support::client::{Client, key};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::proxy::Proxy;

const PRICES: &str = "/v1/metric/hottry/timeseries";
const JOBS: &str = "{ jobRuns(first: 1) { nodes { job } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_good_lately_reads_on_without_the_database_and_does_nothing_else() {
    let base = Base::remote().await;
    let (mut proxy, url) = Proxy::to_postgres(&base.database_url);
    let program = Program::on(&base)
        .with("MARKETLAKE_DATABASE__URL", url)
        .with("MARKETLAKE_DATABASE__API_ACQUIRE_TIMEOUT", "1s")
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_AUTH__ANONYMOUS", "none");
    let server = serve_with(&program, &base, HISTORY).await;
    let nobody = Client::of(&server);
    let made = async |scopes: &str| nobody.with_key(&key(&program, scopes).await);
    let (reader, admin) = (made("read").await, made("admin").await);
    let (metrics, unused, revoked) = (
        made("metrics").await,
        made("read").await,
        key(&program, "read").await,
    );
    let gone = nobody.with_key(&revoked);
    for client in [&reader, &admin, &gone] {
        assert_eq!(client.status(PRICES).await, 200);
    }
    assert_eq!(metrics.status(PRICES).await, 403);
    let id = revoked.split('_').nth(1).unwrap();
    program.ok(&["keys", "revoke", id]).await;
    eventually("the revocation", async || {
        (gone.status(PRICES).await == 401).then_some(())
    })
    .await;
    assert!(admin.graphql(JOBS).await.get("errors").is_none());

    proxy.close().await;
    eventually("the outage to be noticed", async || {
        (unused.status(PRICES).await == 503).then_some(())
    })
    .await;
    for client in [&reader, &admin] {
        assert_eq!(client.status(PRICES).await, 200);
    }
    for client in [&metrics, &unused, &gone] {
        assert_eq!(client.status(PRICES).await, 503);
    }
    let refused = admin.graphql(JOBS).await;
    let code = &refused["errors"][0]["extensions"]["code"];
    assert_eq!(code, "UNAVAILABLE", "{refused}");

    proxy.open();
    eventually("the admin's key to be whole again", async || {
        let answer = admin.graphql(JOBS).await;
        answer.get("errors").is_none().then_some(())
    })
    .await;
    assert_eq!(gone.status(PRICES).await, 401);
    assert_eq!(unused.status(PRICES).await, 200);
}
