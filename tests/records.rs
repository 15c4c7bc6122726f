//! The tables, alike on `SQLite` and Postgres.

use marketlake_entities::database;
use marketlake_entities::records::{
    alerts, deliveries, job_runs, metrics, segments, subscriptions,
};
use marketlake_migrations::{Migrator, MigratorTrait};
use marketlake_model::Millis;
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, NotSet, Set};

use crate::support::base::{Base, on_both};

fn segment(path: &str) -> segments::ActiveModel {
    segments::ActiveModel {
        id: NotSet,
        path: Set(path.to_owned()),
        tier: Set(segments::Tier::Raw),
        origin: Set(segments::Origin::Ingest),
        state: Set(segments::SegmentState::Live),
        hour: Set(Millis(0)),
        min_ts: Set(Millis(-1)),
        max_ts: Set(Millis(i64::MAX)),
        row_count: Set(1),
        metric_count: Set(1),
        byte_count: Set(1),
        sha256: Set("0".to_owned()),

        crcs: Set(Some(vec![1, 2, 3, 4])),
        rollup_path: Set(None),
        rollup_byte_count: Set(None),
        rollup_sha256: Set(None),
        rollup_crcs: Set(None),
        created_at: Set(Millis(1_795_516_260_123)),
        retired_at: Set(None),
    }
}

fn run(slot: i64) -> job_runs::ActiveModel {
    job_runs::ActiveModel {
        id: NotSet,
        job: Set("a".to_owned()),
        slot: Set(Millis(slot)),
        shard: Set(0),
        state: Set(job_runs::JobRunState::Pending),
        token: Set(0),
        attempts: Set(0),
        not_before: Set(Millis(0)),
        lease_until: Set(None),
        worker: Set(None),
        outcome: Set(Some("{\"ü\":1}".to_owned())),
        error: Set(None),
        created_at: Set(Millis(5)),
        started_at: Set(None),
        finished_at: Set(None),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_comes_back_as_it_was_written() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let segment = segment("raw/a.parquet").insert(&database).await.unwrap();
        assert_eq!(
            segments::Entity::find_by_id(segment.id)
                .one(&database)
                .await
                .unwrap(),
            Some(segment)
        );
        let run = run(7).insert(&database).await.unwrap();
        assert_eq!(
            job_runs::Entity::find_by_id(run.id)
                .one(&database)
                .await
                .unwrap(),
            Some(run)
        );
        let metric = metrics::ActiveModel {
            id: Set("binance:hottry".to_owned()),
            market: Set("binance".to_owned()),
            pair: Set("hottry".to_owned()),
            measure: Set("price".to_owned()),
            created_at: Set(Millis(1)),
            recorded_at: Set(Some(Millis(2))),
        };
        let metric = metric.insert(&database).await.unwrap();
        assert_eq!(
            metrics::Entity::find_by_id("binance:hottry")
                .one(&database)
                .await
                .unwrap(),
            Some(metric)
        );
        let subscription = subscriptions::ActiveModel {
            id: Set("s".to_owned()),
            state: Set(subscriptions::SubscriptionState::Active),
            pattern: Set("*".to_owned()),
            factor: Set("3".to_owned()),
            window_minutes: Set(60),
            min_samples: Set(45),
            address: Set("a@b.c".to_owned()),
            created_at: Set(Millis(1)),
            deleted_at: Set(None),
            revision: Set(3),
            rule: Set(Some("{}".to_owned())),
            channel: Set(subscriptions::ChannelKind::Slack),
            endpoint: Set(Some("https://x.y/z".to_owned())),
            secret: Set(Some("s".to_owned())),
            time_zone: Set("UTC".to_owned()),
            source: Set(None),
            confirmed_at: Set(Some(Millis(2))),
            muted_until: Set(None),
            reason: Set(None),
            owner: Set(None),
        };
        let subscription = subscription.insert(&database).await.unwrap();
        assert_eq!(
            subscriptions::Entity::find_by_id("s")
                .one(&database)
                .await
                .unwrap(),
            Some(subscription)
        );
        let alert = alerts::ActiveModel {
            id: Set("a".to_owned()),
            subscription_id: Set("s".to_owned()),
            metric: Set("binance:hottry".to_owned()),
            ts: Set(Millis(0)),
            value: Set("0.3".to_owned()),
            mean: Set(0.1),
            ratio: Set(3.000_000_000_000_000_4),
            samples: Set(60),
            created_at: Set(Millis(1)),
            revision: Set(3),
            detector: Set(2),
            evidence_id: Set(None),
        };
        let alert = alert.insert(&database).await.unwrap();
        assert_eq!(
            alerts::Entity::find_by_id("a")
                .one(&database)
                .await
                .unwrap(),
            Some(alert)
        );
        let delivery = deliveries::ActiveModel {
            id: Set("d".to_owned()),
            kind: Set(deliveries::DeliveryKind::Digest),
            subscription_id: Set(None),
            channel: Set(subscriptions::ChannelKind::Mail),
            content: Set(None),
            message: Set(Some(vec![0, 255, 13, 10])),
            unknowns: Set(1),
            transmit_started_at: Set(Some(Millis(9))),
            address: Set("a@b.c".to_owned()),
            state: Set(deliveries::DeliveryState::Unknown),
            token: Set(1),
            attempts: Set(2),
            not_before: Set(Millis(i64::MAX)),
            lease_until: Set(None),
            error: Set(Some("x".to_owned())),
            created_at: Set(Millis(1)),
            finished_at: Set(None),
            message_id: Set(Some("m".to_owned())),
            destination: Set("mail:b.c".to_owned()),
        };
        let delivery = delivery.insert(&database).await.unwrap();
        assert_eq!(
            deliveries::Entity::find_by_id("d")
                .one(&database)
                .await
                .unwrap(),
            Some(delivery)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_an_alert_and_a_path_exist_once() {
    on_both(async |base: Base| {
        let database = base.database().await;
        run(7).insert(&database).await.unwrap();
        run(7).insert(&database).await.unwrap_err();
        run(8).insert(&database).await.unwrap();
        segment("raw/a.parquet").insert(&database).await.unwrap();
        segment("raw/a.parquet")
            .insert(&database)
            .await
            .unwrap_err();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_go_down_and_up_again() {
    on_both(async |base: Base| {
        let database = base.database().await;
        Migrator::down(&database, None).await.unwrap();
        database
            .execute_unprepared("select 1 from segments")
            .await
            .unwrap_err();
        Migrator::up(&database, None).await.unwrap();
        database
            .execute_unprepared("select 1 from segments")
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_s_clock_ticks_in_milliseconds() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let here = Millis(chrono::Utc::now().timestamp_millis());
        let there = database::clock(&database).await.unwrap();
        assert!(
            (there.0 - here.0).abs() < 2_000,
            "{here} here, {there} there"
        );
    })
    .await;
}
