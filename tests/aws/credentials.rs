//! AWS' standard credential chain, against a server that checks signatures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::json;
use tokio::net::TcpListener;

use super::{doctor, finding, history};
use crate::support::base::Base;
use crate::support::program::Program;
use crate::support::s3::{ACCESS_KEY, SECRET_KEY};

/// The program without keys in its settings.
async fn keyless() -> (Base, Program) {
    let mut base = Base::remote().await;
    base.store.access_key_id = None;
    base.store.secret_access_key = None;
    let program = Program::on(&base)
        // Tests must not depend on these services.
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("AWS_CONFIG_FILE", base.path().join("none").display())
        .with(
            "AWS_SHARED_CREDENTIALS_FILE",
            base.path().join("credentials").display(),
        );
    (base, program)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_it_is_said_what_is_expected() {
    let (_base, program) = keyless().await;
    let said = doctor(&program).await;
    assert_eq!(said.code, 1);
    let (health, detail) = finding(&said, "credentials");
    assert_eq!(health, "bad");
    assert!(
        detail.starts_with(
            "no AWS credentials: expected store.access_key_id and \
        store.secret_access_key, or those of the environment"
        ),
        "{detail}"
    );
    let said = program.run(&["metrics"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err.contains("store.url") && said.err.contains("no AWS credentials"),
        "{said:?}"
    );
    let half = program.with("MARKETLAKE_STORE__ACCESS_KEY_ID", "alone");
    let said = half.run(&["metrics"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err
            .contains("expected store.secret_access_key to be set, too"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_and_profile_are_known() {
    let (mut base, program) = keyless().await;
    let environment = program.clone().with("AWS_ACCESS_KEY_ID", ACCESS_KEY);
    let environment = environment.with("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    assert_eq!(doctor(&environment).await.code, 0);
    // The address too.
    let endpoint = base.store.endpoint.take().unwrap();
    let elsewhere = Program::on(&base).with("AWS_ENDPOINT_URL", endpoint);
    let elsewhere = elsewhere.with("AWS_ACCESS_KEY_ID", ACCESS_KEY);
    let elsewhere = elsewhere.with("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    let said = doctor(&elsewhere).await;
    assert_eq!(said.code, 0, "{said:?}");
    elsewhere.ok(&["metrics"]).await;
    let file =
        format!("[ops]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n");
    std::fs::write(base.path().join("credentials"), file).unwrap();
    let profile = program.with("AWS_PROFILE", "ops");
    let imported = profile.ok(&["import", &history(&base)]).await;
    assert!(imported.contains("240 new"), "{imported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_s_credentials_are_fetched_anew_before_they_end() {
    // Good for an hour: fetched once. Ending in a minute: before each use, of which an import has
    // three: probe, samples, rollups.
    for (minutes, expected) in [(60, 1..=1), (1, 3..=100)] {
        let (base, program) = keyless().await;
        let fetches = Arc::new(AtomicUsize::new(0));
        let url = task_role(TimeDelta::minutes(minutes), Arc::clone(&fetches)).await;
        let task = program.with("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
        let imported = task.ok(&["import", &history(&base)]).await;
        assert!(imported.contains("240 new"), "{imported}");
        let fetches = fetches.load(Ordering::SeqCst);
        assert!(
            expected.contains(&fetches),
            "{minutes} minutes: fetched {fetches} times"
        );
    }
}

/// Stands in for the ECS endpoint of a task role's credentials.
async fn task_role(valid: TimeDelta, fetches: Arc<AtomicUsize>) -> String {
    let answer = move || async move {
        fetches.fetch_add(1, Ordering::SeqCst);
        let until = (Utc::now() + valid).to_rfc3339_opts(SecondsFormat::Secs, true);
        axum::Json(
            json!({"AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": "of-the-task", "Expiration": until}),
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/role", listener.local_addr().unwrap());
    let router = Router::new().route("/role", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
