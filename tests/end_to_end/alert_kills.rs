//! SIGKILL at random moments of detection and delivery: no alert is lost, none is doubled, and a
//! mail comes twice only where the kill fell between its DATA and the commit, which is counted.
//!
//! `MARKETLAKE_TEST_KILLS` says how often, on each base; few where it says nothing, so that the
//! suite stays fast.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use marketlake_entities::records::deliveries::{self, DeliveryState};
use marketlake_entities::records::{alerts, delivery_alerts};
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait};

use super::{first, wait_for_minutes};
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::program::Program;
use crate::support::until_all;

/// Minutes of calm before the first jump.
const CALM: usize = 60;
const METRICS: usize = 8;
/// Patterns, and which of the metrics each means.
const PATTERNS: [(&str, &[usize]); 4] = [
    ("*:volume", &[0, 1, 2, 3, 4, 5, 6, 7]),
    ("live:m1:volume", &[1]),
    ("m2:volume, m3:volume", &[2, 3]),
    ("*:m5:volume", &[5]),
];

/// In each minute after the calm one metric jumps.
fn history(base: &Base, minutes: usize) -> String {
    let mut text = "metric,ts,value\n".to_owned();
    for at in 0..minutes {
        let ts = first().plus(i64::try_from(at).unwrap());
        for metric in 0..METRICS {
            let value = if jumps(at, metric) { 900 } else { 100 };
            writeln!(text, "live:m{metric}:volume,{ts},{value}").unwrap();
        }
    }
    let path = base.path().join("jumps.csv");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn jumps(at: usize, metric: usize) -> bool {
    at >= CALM && at % METRICS == metric
}

async fn subscribe(program: &Program) {
    for (number, (pattern, _)) in PATTERNS.iter().enumerate() {
        let address = format!("reader{number}@example.com");
        let arguments = [
            "subscriptions",
            "create",
            "--metric",
            pattern,
            "--address",
            &address,
            "--cooldown-minutes",
            "0",
        ];
        program.ok(&arguments).await;
    }
}

async fn free(database: &DatabaseConnection) {
    // The leases of the dead would run out by themselves, within half a minute and a minute and a
    // half.
    for sql in [
        // Killed as soon as they have begun, some slots would be given up after ten deaths.
        "update job_runs set lease_until = 1, attempts = 0 where state = 'running'",
        "update deliveries set lease_until = null where state = 'sending'",
        "update deliveries set not_before = 0 where state in ('retry', 'unknown') and not_before \
         < 9000000000000000",
        "delete from delivery_throttles",
    ] {
        database.execute_unprepared(sql).await.unwrap();
    }
}

async fn survive(base: Base, kills: usize) {
    let minutes = CALM + 20 + kills * 2;
    let file = history(&base, minutes);
    // So fast that there is work until the last kill.
    let speed = 75 * minutes / kills;
    let feed = format!("[{{kind=\"replay\",speed={speed}.0,files=[\"{file}\"]}}]");
    let mailbox = Mailbox::open(Fault::None).await;
    let program = Program::on(&base)
        .with(
            "MARKETLAKE_ALERTS__MAX_MAILS_PER_ADDRESS_PER_DAY",
            1_000_000,
        )
        .with("MARKETLAKE_FEEDS", feed)
        .with("MARKETLAKE_MAIL__URL", &mailbox.url);
    subscribe(&program).await;
    let database = base.database().await;
    let roles = ["up", "--role", "scheduler", "--role", "deliver"];
    let (mut killed, mut rounds) = (0, 0);
    while killed < kills {
        let mut running = program.start(&roles);
        tokio::time::sleep(Duration::from_millis(1_500).mul_f64(rand::random())).await;
        killed += usize::from(running.is_running());
        running.kill();
        free(&database).await;
        rounds += 1;
    }
    let mut server = program.start(&roles);
    wait_for_minutes(&database, minutes).await;
    let late = "update deliveries set not_before = 0 where state = 'pending' and kind = 'digest'";
    database.execute_unprepared(late).await.unwrap();
    until_all("deliveries to end", 0, async || {
        let all = deliveries::Entity::find().all(&database).await.unwrap();
        let waits = |row: &&deliveries::Model| {
            !matches!(row.state, DeliveryState::Sent | DeliveryState::Dead)
                && row.not_before.0 != i64::MAX
        };
        all.iter().filter(waits).count()
    })
    .await;
    server.interrupt().await;
    verify(&base, &database, &program, &mailbox, minutes).await;
    let counts = mailbox.counts();
    let twice: usize = counts.values().map(|count| count - 1).sum();
    eprintln!(
        "{}: {killed} kills in {rounds} rounds; {} mails, {twice} of them twice",
        base.name,
        counts.len()
    );
}

async fn verify(
    base: &Base,
    database: &DatabaseConnection,
    program: &Program,
    mailbox: &Mailbox,
    minutes: usize,
) {
    let made = alerts::Entity::find().all(database).await.unwrap();
    let heard = |metric: usize| {
        PATTERNS
            .iter()
            .filter(|(_, meant)| meant.contains(&metric))
            .count()
    };
    let exact: usize = (CALM..minutes).map(|at| heard(at % METRICS)).sum();
    assert_eq!(made.len(), exact, "on {}", base.name);
    let again = program
        .run(&[
            "jumps",
            "--replay",
            "--from",
            &first().to_string(),
            "--format",
            "csv",
        ])
        .await;
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(
        again
            .err
            .contains(&format!("{exact} alerts the same, bit for bit; 0 other")),
        "{}",
        again.err
    );
    let told: BTreeMap<String, String> = delivery_alerts::Entity::find()
        .all(database)
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.alert_id, row.delivery_id))
        .collect();
    let counts = mailbox.counts();
    let rows: BTreeMap<String, deliveries::Model> = deliveries::Entity::find()
        .all(database)
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.id.clone(), row))
        .collect();
    for alert in made {
        let row = &rows[&told[&alert.id]];
        assert!(
            matches!(row.state, DeliveryState::Sent | DeliveryState::Unknown),
            "{row:?}"
        );
        let came = counts
            .get(&format!("{}@localhost", row.message_id.as_deref().unwrap()))
            .copied()
            .unwrap_or(0);
        assert!(came >= 1, "lost: {row:?}");
        assert!(
            i32::try_from(came).unwrap() - 1 <= row.unknowns,
            "twice and not counted: {row:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_no_alert_is_lost_and_every_doubt_is_counted() {
    let kills = std::env::var("MARKETLAKE_TEST_KILLS").ok();
    let kills = kills.map_or(8, |kills| kills.parse().unwrap());
    on_both(async |base: Base| survive(base, kills).await).await;
}
