//! Operators' view of the outbox, notices and keys.

use serde_json::json;

use crate::support::alerting::wants;
use crate::support::base::Base;
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::program::Program;

use super::lifecycle::{ID, serve};

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_an_operators_by_graphql_and_by_shell() {
    let base = Base::local().await;
    let (alerting, server) = serve(&base).await;
    alerting.subscribe(wants("hottry:volume")).await;
    alerting.play(ID, 0, &["340"]).await;
    let mailbox = Mailbox::open(Fault::Recipient(550)).await;
    alerting.send(&mailbox.url).await;
    let listed = server
        .graphql_as_operator(
            "{ deliveries(state: DEAD) { id kind to state \
        attempts error } deliveryThrottles { name } }",
        )
        .await;
    let dead = &listed["data"]["deliveries"][0];
    assert_eq!(
        (dead["to"].as_str(), dead["kind"].as_str()),
        (Some("t***@example.com"), Some("alert")),
        "{listed}"
    );
    let id = dead["id"].as_str().unwrap();
    let stopped = server.graphql_as_operator(r#"mutation { stopDeliveries(input: {reason: "look first"}) { throttles { name until reason } } }"#).await;
    assert_eq!(
        stopped["data"]["stopDeliveries"]["throttles"],
        json!([{"name": "all", "until": null, "reason": "look first"}])
    );
    let program = Program::on(&base);
    assert_eq!(
        program.ok(&["deliveries", "start"]).await,
        "deliveries: running\n"
    );
    let requeue =
        format!(r#"mutation {{ requeueDelivery(input: {{id: "{id}"}}) {{ requeuedId }} }}"#);
    assert_eq!(
        server.graphql_as_operator(&requeue).await["data"]["requeueDelivery"]["requeuedId"],
        id
    );
    alerting.send(&mailbox.url).await;
    let rows = program
        .json(&["deliveries", "list", "--state", "dead"])
        .await;
    assert_eq!(
        (rows[0]["id"].as_str(), rows[0]["attempts"].as_i64()),
        (Some(id), Some(1))
    );
    assert_eq!(
        program.ok(&["deliveries", "requeue", id]).await,
        format!("{id}: due again\n")
    );
    assert_eq!(
        program.run(&["deliveries", "requeue", "none"]).await.code,
        1
    );
    // No address makes a client an operator.
    let answer = server.graphql("{ deliveries { id } }").await;
    let code = &answer["errors"][0]["extensions"]["code"];
    assert_eq!(code, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_come_by_the_hook() {
    let base = Base::local().await;
    let (_, server) = serve(&base).await;
    let send = async |media: &str, body: &str| {
        let request = reqwest::Client::new()
            .post(server.url("/bounces"))
            .header("content-type", media);
        request
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(send("message/rfc822", "hello").await, 400);
    assert_eq!(send("text/plain; charset=UTF-8", "{}").await, 400);
    assert_eq!(
        send(
            "application/json",
            r#"{"notificationType":"Delivery","mail":{"source":"x@y.z"}}"#
        )
        .await,
        200
    );
    assert_eq!(
        send(
            "application/json",
            r#"{"notificationType":"Complaint","mail":{"source":"b-0-0-0@y.z"}}"#
        )
        .await,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_ruled_by_the_shell_and_mails_are_previewed() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let first = program.ok(&["signing-keys", "list"]).await;
    let key = first
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        program
            .ok(&["signing-keys", "rotate"])
            .await
            .lines()
            .count(),
        3
    );
    assert!(
        program
            .ok(&["signing-keys", "retire", &key])
            .await
            .contains(&key)
    );
    assert_eq!(
        program
            .run(&["signing-keys", "retire", "nobody"])
            .await
            .code,
        1
    );
    let out = base.path().join("previews");
    program
        .ok(&[
            "mail",
            "preview",
            "--zone",
            "Asia/Tokyo",
            "--out",
            out.to_str().unwrap(),
        ])
        .await;
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "alert.eml",
            "confirmation.eml",
            "digest.eml",
            "incident.eml",
            "manage.eml",
            "test.eml"
        ]
    );
    assert!(
        std::fs::read_to_string(out.join("alert.eml"))
            .unwrap()
            .contains("JST (Asia/Tokyo)")
    );
    let bad = program
        .clone()
        .with("MARKETLAKE_MAIL__TEMPLATES", "/nowhere")
        .run(&["mail", "preview"])
        .await;
    assert_eq!(bad.code, 2);
    assert!(
        bad.err
            .contains("setting mail.templates = \"/nowhere\": expected a folder"),
        "{}",
        bad.err
    );
}
