//! Delivery lanes that panic, and receivers that are gone: the incidents and log lines of each.

use marketlake_entities::records::deliveries::{DeliveryState, Entity, Model};
use marketlake_entities::records::delivery_throttles;
use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait};
use serde_json::{Value, json};

use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::program::{Program, Running};

async fn running(base: &Base, mail_url: &str, failpoints: &str) -> (Running, DatabaseConnection) {
    let database = base.database().await;
    let program = Program::on(base)
        .with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]")
        .with("MARKETLAKE_MAIL__URL", mail_url)
        .with("FAILPOINTS", failpoints);
    (program.up(&[]).await, database)
}

/// Has a confirmation mail written to each address.
async fn sign_up(server: &Running, addresses: &[&str]) {
    for address in addresses {
        let wanted = json!({"metric": "*", "address": address});
        let client = Client::of(server);
        let made = client
            .json(Method::POST, "/v1/subscriptions", &wanted)
            .await;
        assert!(made.status.is_success(), "{}", made.text());
    }
}

async fn deliveries(database: &DatabaseConnection) -> Vec<Model> {
    Entity::find().all(database).await.unwrap()
}

async fn ready(server: &Running) -> (u16, Value) {
    let answer = Client::of(server).get("/readyz").await;
    (answer.status.as_u16(), answer.value())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_panics_is_not_ready_and_its_mails_leave_once_it_runs_again() {
    let base = Base::local().await;
    let mailbox = Mailbox::open(Fault::None).await;
    let (mut server, _) = running(&base, &mailbox.url, "lane-loop=3*panic(odd)").await;
    sign_up(&server, &["trader@example.com"]).await;
    let seen = eventually("the lane to be named", async || {
        let (status, seen) = ready(&server).await;
        (status == 503).then_some(seen)
    })
    .await;
    let deliver = &seen["roles"]["deliver"];
    assert_eq!(deliver["ready"], false, "{seen}");
    let said = deliver["parts"]["mail"].as_str().unwrap();
    assert!(said.starts_with("panicked: "), "{seen}");
    assert_eq!(deliver["parts"]["webhook"], "ok", "{seen}");
    eventually("the mail", async || {
        (mailbox.mails().len() == 1).then_some(())
    })
    .await;
    eventually("the lane to be well", async || {
        (ready(&server).await.0 == 200).then_some(())
    })
    .await;
    let log = server.end_log();
    let panics = log
        .lines()
        .filter(|line| line.contains("task deliver-alerts mail panicked: "));
    assert_eq!(panics.count(), 3, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_panics_for_ever_stays_unready() {
    let base = Base::local().await;
    let mailbox = Mailbox::open(Fault::None).await;
    let (mut server, _) = running(&base, &mailbox.url, "lane-loop=panic(odd)").await;
    sign_up(&server, &["trader@example.com"]).await;
    eventually("two rounds of the lane to end", async || {
        let log = server.log();
        (log.matches("lane mail panicked 6 times").count() >= 1).then_some(())
    })
    .await;
    let (status, seen) = ready(&server).await;
    assert_eq!(status, 503, "{seen}");
    assert!(mailbox.mails().is_empty());
    server.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_whose_attempt_panics_waits_and_holds_no_other_up() {
    let base = Base::local().await;
    let mailbox = Mailbox::open(Fault::None).await;
    let failpoints = "before-handing-over=1*panic(odd)";
    let (mut server, database) = running(&base, &mailbox.url, failpoints).await;
    sign_up(&server, &["one@example.com", "two@example.com"]).await;
    eventually("the other mail", async || {
        (mailbox.mails().len() == 1).then_some(())
    })
    .await;
    let waiting = eventually("the first to be put off", async || {
        let all = deliveries(&database).await;
        all.into_iter()
            .find(|row| row.state == DeliveryState::Retry)
    })
    .await;
    let error = waiting.error.unwrap();
    assert!(error.starts_with("the attempt panicked: "), "{error}");
    let due = "update deliveries set not_before = 0 where state = 'retry'";
    database.execute_unprepared(due).await.unwrap();
    eventually("both mails", async || {
        (mailbox.mails().len() == 2).then_some(())
    })
    .await;
    assert!(mailbox.counts().values().all(|count| *count == 1));
    server.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_mail_server_is_two_lines_of_the_log() {
    let base = Base::local().await;
    let port = Mailbox::port();
    let address = port.local_addr().unwrap();
    let (mut server, database) = running(&base, &format!("smtp://{address}"), "").await;
    let addresses = ["one@example.com", "two@example.com", "three@example.com"];
    sign_up(&server, &addresses).await;
    eventually("the server to be tried some times", async || {
        let held = delivery_throttles::Entity::find().one(&database).await;
        held.unwrap().filter(|row| row.failures >= 3)
    })
    .await;
    let mailbox = Mailbox::open_at(port, Fault::None);
    eventually("all mails", async || {
        (mailbox.mails().len() == 3).then_some(())
    })
    .await;
    eventually("the end to be logged", async || {
        server
            .log()
            .contains("outage of a receiver ended")
            .then_some(())
    })
    .await;
    let log = server.end_log();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("outage of a receiver begins"), 1, "{log}");
    assert_eq!(lines("outage of a receiver ended"), 1, "{log}");
    assert_eq!(lines("not sent"), 0, "{log}");
    assert!(lines("Connection refused") == 1, "{log}");
}
