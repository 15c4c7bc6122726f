//! Long-running process: its roles and their shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use marketlake_common::Health;
use marketlake_http::options::HttpOptions;
use marketlake_jobs::{
    DeliverAlerts, JobDeps, JobSet, MarkIngested, Runner, Scheduler, WatchdogOptions,
};
use marketlake_lake::Lake;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::config::{ConfigError, Feed, Pool, Settings};
use crate::feeds::FeedUse;
use crate::server::{ConnectionLimits, Connections, FileLimit};
use crate::wiring::http::HttpApis;
use crate::{feeds, metric_descriptions, server, wiring};

/// Time that roles have to shut down before they are dropped; the lease of a dropped slot expires.
/// Connections and threads end after that, within ten seconds in all.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(7);

/// Role of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Serves the HTTP API.
    Api,
    /// Schedules and runs jobs: ingest, detection, compaction, vacuum.
    Scheduler,
    /// Sends mails and webhooks.
    Deliver,
}

impl Role {
    /// All roles.
    pub(crate) const ALL: [Self; 3] = [Self::Api, Self::Scheduler, Self::Deliver];
}

/// A process that is ready to run.
pub(crate) struct Service {
    lake: Arc<Lake>,
    /// The lake over a connection pool of its own, so that requests do not wait for jobs.
    api_lake: Arc<Lake>,
    jobs: JobSet,
    pace: Option<marketlake_feeds::ReplayClock>,
    listener: Option<TcpListener>,
    operations: Option<TcpListener>,
    figures: PrometheusHandle,
    options: HttpOptions,
    limits: ConnectionLimits,
    health: Health,
    /// Age of the newest minute from which a feed counts as stale; `None` for a replay.
    stale_after: Option<Duration>,
    is_scheduler: bool,
    stop: CancellationToken,
}

/// Creates the jobs as configured.
pub(crate) async fn jobs(
    settings: &Settings,
    lake: &Arc<Lake>,
    usage: FeedUse,
    stop: &CancellationToken,
) -> anyhow::Result<(JobSet, Option<marketlake_feeds::ReplayClock>)> {
    let feeds = feeds::make(settings, usage).await?;
    let jobs = JobSet::all(JobDeps {
        lake: Arc::clone(lake),
        feeds: feeds.all,
        pace: feeds.pace,
        sender: wiring::delivery::sender(
            settings,
            &wiring::database::pool(settings, Pool::Delivery)?,
        )?,
        max_mails_per_day: settings.alerts.max_mails_per_address_per_day,
        max_alert_age: settings.alerts.max_age.get(),
        watch: WatchdogOptions {
            operator: settings.alerts.operator(),
            feed_stale_after: settings.alerts.feed_stale_after.get(),
        },
        grace: settings.jobs.vacuum_grace_period.get(),
        retention: settings.retention(),
        stop: stop.clone(),
    });
    Ok((jobs, feeds.pace))
}

/// Creates the marker of slots whose samples are found in the store.
pub(crate) fn mark_ingested(settings: &Settings) -> MarkIngested {
    let feeds = settings
        .feeds
        .iter()
        .map(|feed| (feed.ingested_markets(), feed.shards()));
    MarkIngested::of_feeds(feeds).with_history(settings.feeds.iter().all(Feed::has_history))
}

/// Name of this process in the slot table.
pub(crate) fn worker() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    format!("{}/{}", host.trim(), std::process::id())
}

impl Service {
    /// Prepares all parts; every setting is checked before anything runs.
    pub(crate) async fn prepare(
        settings: &Settings,
        lake: Arc<Lake>,
        roles: &[Role],
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let has = |role| roles.contains(&role);
        let usage = match has(Role::Scheduler) {
            true => FeedUse::Continuous,
            false => FeedUse::Unused,
        };
        let (jobs, pace) = jobs(settings, &lake, usage, &stop).await?;
        let jobs = jobs.only(|name| {
            if name == DeliverAlerts::NAME {
                has(Role::Deliver)
            } else {
                has(Role::Scheduler)
            }
        });
        let health = Health::default();
        let options = options(settings, &health, &stop)?;
        let is_live = pace.is_none() && !settings.feeds.is_empty();
        let stale_after = settings.alerts.feed_stale_after.get();
        let limits = settings.connection_limits(FileLimit::raise())?;
        let listener = if has(Role::Api) {
            Some(listen("server.listen", *settings.server.listen, "").await?)
        } else {
            None
        };
        let operations = match settings.operations.address() {
            None => None,
            Some(address) => {
                let other = ": another process of this machine needs another port, or off";
                Some(listen("operations.listen", address, other).await?)
            }
        };
        let figures = PrometheusBuilder::new()
            .install_recorder()
            .context("cannot record metrics")?;
        metric_descriptions::describe_all();
        let api_lake = lake.with_database(wiring::database::pool(settings, Pool::Api)?);
        Ok(Self {
            lake,
            api_lake,
            jobs,
            pace,
            listener,
            operations,
            figures,
            options,
            limits,
            health,
            stale_after: is_live.then_some(stale_after),
            is_scheduler: has(Role::Scheduler),
            stop,
        })
    }

    /// Address of the API.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Address of health and `/metrics`.
    pub(crate) fn operations_address(&self) -> Option<SocketAddr> {
        self.operations
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Runs until stopped, then shuts down within ten seconds.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            lake,
            api_lake,
            jobs,
            pace,
            listener,
            operations,
            figures,
            options,
            limits,
            health,
            stale_after,
            is_scheduler,
            stop,
        } = self;
        let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
        let background = Background {
            lake: Arc::clone(&api_lake),
            health: health.clone(),
            figures: figures.clone(),
            is_api: listener.is_some(),
            is_scheduler,
            stale_after,
            stop: stop.clone(),
        };
        background.spawn(&mut tasks);
        if !jobs.is_empty() {
            let runner = Runner::new(lake.database().clone(), worker(), stop.clone())
                .with_clock(lake.clock().clone())
                .with_health(health);
            let scheduler = Scheduler::new(jobs, pace, runner);
            tasks.spawn(async move { Ok(scheduler.run().await?) });
        }
        let http = HttpApis::new(&api_lake, figures.clone(), options);
        let background = http.background();
        tasks.spawn(async move {
            background.await;
            Ok(())
        });
        if let Some(listener) = listener {
            let router = http.api();
            let connections = Connections::new(limits);
            tasks.spawn(server::serve(listener, router, connections, stop.clone()));
        }
        if let Some(listener) = operations {
            let router = http.operations();
            let connections = Connections::new(limits.of_operations());
            tasks.spawn(server::serve(listener, router, connections, stop.clone()));
        }
        // The first task that ends on its own ends all.
        let first = tokio::select! {
            first = tasks.join_next() => first,
            () = stop.cancelled() => None,
        };
        stop.cancel();
        let rest = timeout(SHUTDOWN_TIMEOUT, tasks.join_all()).await;
        if rest.is_err() {
            tracing::warn!("not all work stopped in time; its leases will expire");
        }
        match first {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(error.into()),
            None => rest.unwrap_or_default().into_iter().collect(),
        }
    }
}

/// Options of the HTTP API.
fn options(
    settings: &Settings,
    health: &Health,
    stop: &CancellationToken,
) -> Result<HttpOptions, ConfigError> {
    Ok(HttpOptions {
        signup_limits: settings.alerts.signup_limits(),
        max_metrics: settings.alerts.max_metrics,
        trusted_proxies: settings.trusted_proxies(),
        auth: settings.auth.options(settings, *settings.server.listen)?,
        limits: settings.limits(),
        cors_origins: settings.cors_origins(),
        public_origin: settings.public_origin(),
        is_https: settings.public_url().starts_with("https://"),
        metrics_without_key: settings
            .operations
            .address()
            .is_some_and(|address| address.ip().to_canonical().is_loopback()),
        health: health.clone(),
        stop: stop.clone(),
    })
}

async fn listen(
    setting: &str,
    address: SocketAddr,
    hint: &str,
) -> Result<TcpListener, ConfigError> {
    TcpListener::bind(address).await.map_err(|error| {
        let problem = format!("cannot listen there: {error}{hint}");
        ConfigError::setting(setting, &address.to_string(), problem)
    })
}
