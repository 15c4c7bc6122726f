//! `marketlake doctor` on what is well, and on what is wrong.

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::any;
use tokio::net::TcpListener;

use super::{TRIED, doctor, finding, ignored_conditions};
use crate::support::base::{Base, on_both};
use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_well_is_good_and_nothing_is_left_behind() {
    on_both(async |base: Base| {
        let said = doctor(&Program::on(&base)).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(finding(&said, "database").0, "good");
        if base.store.endpoint.is_some() {
            for what in TRIED {
                assert_eq!(finding(&said, what).0, "good", "{what}: {said:?}");
            }
            let never = (
                "good".to_owned(),
                "existing files are never overwritten".to_owned(),
            );
            assert_eq!(finding(&said, "conditional put"), never);
        } else {
            assert_eq!(finding(&said, "folder").0, "good");
        }
        let left = std::fs::read_dir(base.objects().join("doctor"));
        assert_eq!(left.map_or(0, Iterator::count), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_what_to_do() {
    let base = Base::remote().await;
    let missing = Program::on(&base).with("MARKETLAKE_STORE__URL", "s3://nowhere/at/all");
    let said = doctor(&missing).await;
    let expected = "bucket nowhere does not exist: create it, or set store.url to another one";
    assert_eq!(
        (said.code, finding(&said, "bucket").1.as_str()),
        (1, expected)
    );

    let stranger = Program::on(&base).with("MARKETLAKE_STORE__SECRET_ACCESS_KEY", "guessed");
    let said = doctor(&stranger).await;
    let expected = "access to lake is denied: the keys are wrong, or lack s3:ListBucket";
    assert_eq!(
        (said.code, finding(&said, "bucket").1.as_str()),
        (1, expected)
    );

    let half = Program::on(&base).with("MARKETLAKE_STORE__ENCRYPTION", "rot13");
    let said = doctor(&half).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("store.encryption"), "{said:?}");
    assert!(said.err.contains("rot13"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_elsewhere_and_a_clock_an_hour_off_are_told() {
    let base = Base::remote().await;
    let elsewhere = answering(
        StatusCode::MOVED_PERMANENTLY,
        &[("x-amz-bucket-region", "eu-west-1")],
    )
    .await;
    let said = doctor(&Program::on(&base).with("MARKETLAKE_STORE__ENDPOINT", elsewhere)).await;
    assert_eq!(said.code, 1);
    let expected =
        "the bucket is in eu-west-1, the request went to us-east-1: set store.region to eu-west-1";
    assert_eq!(
        finding(&said, "region"),
        ("bad".to_owned(), expected.to_owned())
    );

    // Long ago, so that it is off whenever this runs.
    let late = answering(
        StatusCode::FORBIDDEN,
        &[("date", "Tue, 24 Nov 2015 10:00:00 GMT")],
    )
    .await;
    let said = doctor(&Program::on(&base).with("MARKETLAKE_STORE__ENDPOINT", late)).await;
    assert_eq!(said.code, 1);
    let (health, detail) = finding(&said, "clock");
    assert_eq!(health, "bad");
    assert!(
        detail.ends_with(
            "seconds ahead, off the server's, which refuses requests that are 15 \
        minutes off: set this machine's clock"
        ),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_if_match_is_bad() {
    let base = Base::remote().await;
    let endpoint = ignored_conditions::serve(&base.path().join("careless")).await;
    let program = Program::on(&base).with("MARKETLAKE_STORE__ENDPOINT", endpoint);
    let said = doctor(&program).await;
    let (health, detail) = finding(&said, "conditional replace");
    assert_eq!((said.code, health.as_str()), (1, "bad"), "{said:?}");
    assert!(detail.starts_with("If-Match is ignored: "), "{detail}");
    assert_eq!(finding(&said, "conditional put").0, "good", "{said:?}");
    let left = std::fs::read_dir(base.path().join("careless/lake/some/prefix/doctor"));
    assert_eq!(left.map_or(0, Iterator::count), 0);
}

/// A server that gives the same answer to everything.
async fn answering(status: StatusCode, headers: &[(&'static str, &'static str)]) -> String {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)))
        .collect();
    let router = Router::new().fallback(any(move || async move { (status, headers) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
