//! HELP texts of the Prometheus metrics.

use metrics::{describe_counter, describe_gauge, describe_histogram};

const COUNTERS: [(&str, &str); 21] = [
    ("marketlake_alerts_total", "Alerts created."),
    (
        "marketlake_athena_queries_total",
        "Queries that Athena finished, by workgroup.",
    ),
    (
        "marketlake_athena_scanned_bytes_total",
        "Bytes scanned by Athena, by workgroup.",
    ),
    (
        "marketlake_athena_throttled_total",
        "Calls of Athena that were throttled, by workgroup.",
    ),
    (
        "marketlake_clock_steps_total",
        "Steps of a clock, by clock and direction.",
    ),
    (
        "marketlake_cron_silences_total",
        "Times that the cron scheduler did not tick and the planner continued without it.",
    ),
    (
        "marketlake_deliveries_total",
        "Deliveries and attempts, by outcome.",
    ),
    (
        "marketlake_feed_errors_total",
        "Failed requests to a feed, by feed.",
    ),
    (
        "marketlake_gap_samples_total",
        "Samples of exchanges' histories that filled gaps, by market.",
    ),
    (
        "marketlake_http_connections_closed_total",
        "HTTP connections closed by the server, by reason.",
    ),
    (
        "marketlake_http_connections_refused_total",
        "HTTP connections refused, by limit.",
    ),
    (
        "marketlake_http_requests_shed_total",
        "HTTP requests refused with 503 because too many ran.",
    ),
    (
        "marketlake_job_panics_total",
        "Runs of a job that panicked, by job.",
    ),
    (
        "marketlake_job_runs_total",
        "Runs of a job, by job and outcome.",
    ),
    ("marketlake_jumps_total", "Jumps detected."),
    (
        "marketlake_response_cache_total",
        "Lookups in a response cache, by API and outcome.",
    ),
    (
        "marketlake_samples_rejected_total",
        "Samples of feeds that were rejected.",
    ),
    ("marketlake_samples_total", "Samples ingested from feeds."),
    (
        "marketlake_stream_disconnects_total",
        "Connections to streams of exchanges that failed, by feed.",
    ),
    (
        "marketlake_stream_events_total",
        "Events of streams of exchanges, by feed and outcome.",
    ),
    (
        "marketlake_task_restarts_total",
        "Restarts of a background task, by task and reason.",
    ),
];

const GAUGES: [(&str, &str); 17] = [
    (
        "marketlake_athena_cost_dollars",
        "Estimated cost of Athena's queries in US dollars, by workgroup.",
    ),
    (
        "marketlake_athena_queries_running",
        "Queries that run in Athena, by workgroup.",
    ),
    (
        "marketlake_athena_workgroup_up",
        "Whether a workgroup is usable (1) or left out (0).",
    ),
    (
        "marketlake_clock_difference_seconds",
        "Database's clock minus this machine's clock.",
    ),
    (
        "marketlake_feed_last_slot_timestamp_seconds",
        "Start of the newest minute that a feed delivered, as Unix time, by feed.",
    ),
    (
        "marketlake_gaps",
        "Minutes that were not recorded, or not completely, by market and state.",
    ),
    ("marketlake_http_connections", "Open HTTP connections."),
    (
        "marketlake_invalid_time_segments",
        "Live segments with samples in the future or before 2009.",
    ),
    ("marketlake_lake_bytes", "Size of the live segments."),
    (
        "marketlake_lake_metrics",
        "Number of metrics ever recorded.",
    ),
    ("marketlake_lake_samples", "Samples in the live segments."),
    ("marketlake_lake_segments", "Live segments."),
    (
        "marketlake_newest_sample_age_seconds",
        "Time since the end of the newest committed minute.",
    ),
    (
        "marketlake_newest_sample_timestamp_seconds",
        "Start of the newest committed minute, as Unix time.",
    ),
    (
        "marketlake_response_cache_hit_ratio",
        "Share of lookups that a response cache answered, by API.",
    ),
    (
        "marketlake_stream_connections",
        "Open connections to streams of exchanges, by feed.",
    ),
    (
        "marketlake_websocket_connections",
        "Open WebSocket connections.",
    ),
];

const HISTOGRAMS: [(&str, &str); 3] = [
    (
        "marketlake_athena_query_duration_seconds",
        "Duration of Athena's queries, by workgroup.",
    ),
    (
        "marketlake_http_request_duration_seconds",
        "Duration of HTTP requests.",
    ),
    (
        "marketlake_job_duration_seconds",
        "Duration of a job's runs, by job.",
    ),
];

/// Describes every metric to the installed recorder.
pub(crate) fn describe_all() {
    for (name, help) in COUNTERS {
        describe_counter!(name, help);
    }
    for (name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(name, help);
    }
}
