//! Secrets in settings come out nowhere.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::exchange::{Answer, Exchange};
use crate::support::program::Program;
use crate::support::samples::last_minute;

/// In every secret here, so that each output is searched for one word.
const SECRET: &str = "hunter2hunter2";

/// All rows of all tables.
async fn dump(database: &DatabaseConnection) -> String {
    let backend = database.get_database_backend();
    let (tables, row) = match backend {
        DbBackend::Postgres => (
            "select tablename as name from pg_tables where schemaname = 'public'",
            "select row_to_json(t)::text as row from \"{}\" t",
        ),
        _ => (
            "select name from sqlite_master where type = 'table' and name not like 'sqlite%'",
            "",
        ),
    };
    let query = async |sql: String| {
        let statement = Statement::from_string(backend, sql);
        database.query_all_raw(statement).await.unwrap()
    };
    let mut text = String::new();
    for table in query(tables.to_owned()).await {
        let table: String = table.try_get("", "name").unwrap();
        let sql = if row.is_empty() {
            let columns = query(format!("select name from pragma_table_info('{table}')")).await;
            let columns: Vec<String> = columns
                .iter()
                .map(|column| column.try_get::<String>("", "name").unwrap())
                .map(|column| format!("coalesce(cast(\"{column}\" as text), '')"))
                .collect();
            format!(
                "select {} as row from \"{table}\"",
                columns.join(" || ' ' || ")
            )
        } else {
            row.replace("{}", &table)
        };
        for found in query(sql).await {
            let found: String = found.try_get("", "row").unwrap();
            writeln!(text, "{table}: {found}").unwrap();
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_log_a_row_an_answer_or_an_error() {
    on_both(async |base: Base| {
        // The exchange repeats the credentials that it got.
        let echo = format!("{{\"error\":\"user reader:{SECRET} and key {SECRET}k may not\"}}");
        let exchange = Exchange::with([Answer::status(403, echo)]).await;
        let host = exchange.url.strip_prefix("http://").unwrap();
        let base_url = format!("http://reader:{SECRET}@{host}/?token={SECRET}");
        let feeds = format!(
            "[{{kind=\"cryptowatch\",api_key=\"{SECRET}k\",base_url=\"{base_url}\"}}]"
        );
        let mail = format!("smtp://sender:{SECRET}@127.0.0.1:1?tls=opportunistic");
        let mut program = Program::on(&base)
            .with("MARKETLAKE_FEEDS", feeds)
            .with("MARKETLAKE_MAIL__URL", mail)
            .with(
                "RUST_LOG",
                "warn,marketlake=trace,marketlake_feeds=trace,marketlake_jobs=trace,marketlake_alerts=trace,marketlake_lake=trace,marketlake_entities=trace",
            );
        if let Some((user, rest)) = base.database_url.split_once('@') {
            let url = format!("{user}:{SECRET}@{rest}");
            program = program.with("MARKETLAKE_DATABASE__URL", url);
        }
        let create = ["subscriptions", "create", "--metric", "a:b", "--address", "a@example.com"];
        program.ok(&create).await;
        let mut shown = String::new();
        for command in [
            vec!["config"],
            vec!["doctor"],
            vec!["run", "deliver-alerts", "--slot", "2026-01-01T00:00:00Z"],
        ] {
            let said = program.run(&command).await;
            write!(shown, "{}{}", said.out, said.err).unwrap();
        }
        let binance = format!("[{{kind=\"binance\",base_url=\"{base_url}\"}}]");
        let binance = program.clone().with("MARKETLAKE_FEEDS", binance);
        // A live feed knows no other.
        let slot = last_minute().await.to_string();
        let from = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:01:00Z"];
        let backfill = [&["backfill", "--feed", "binance"][..], &from[..]].concat();
        for command in [vec!["run", "ingest-minute", "--slot", &slot], backfill] {
            let said = binance.run(&command).await;
            assert!(said.code > 0, "{said:?}");
            write!(shown, "{}{}", said.out, said.err).unwrap();
        }
        let mut running = program.up(&[]).await;
        let database = base.database().await;
        eventually("the feed to fail", async || {
            running.log().contains("answered 403").then_some(())
        })
        .await;
        let runs = running
            .graphql_as_operator("{ jobRuns(first: 50) { nodes { job error outcome } } }")
            .await;
        write!(shown, "{runs}{}", running.metrics().await).unwrap();
        shown += &dump(&database).await;
        shown += &running.end_log();
        assert!(shown.contains("***"), "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
        if let Some(key) = &base.store.secret_access_key {
            assert!(!shown.contains(key.as_str()), "{shown}");
        }
        // It got what was meant for it, each time.
        assert!(exchange.requests().iter().all(|path| path.ends_with(&format!("token={SECRET}"))));
        assert!(exchange.keys().contains(&Some(format!("{SECRET}k"))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_used_are_shown_without_their_secrets() {
    let base = Base::local().await;
    let toml = |name: &str, text: &str| {
        let path = base.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let files = [
        toml(
            "a.toml",
            &format!("[database]\nurl = postgres://u:{SECRET}@host/db\n"),
        ),
        toml("b.toml", &format!("mail = \"smtp://u:{SECRET}@host\"\n")),
        toml(
            "c.toml",
            &format!("[[feeds]]\nkind = \"binance\"\napi_key = [\"{SECRET}\"]\n"),
        ),
    ];
    for file in &files {
        let said = Program::on(&base).run(&["--config", file, "up"]).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(!said.err.contains(SECRET), "{said:?}");
    }
    for (name, value) in [
        (
            "MARKETLAKE_MAIL__URL",
            format!("smtp://u:{SECRET}@mail example.com"),
        ),
        (
            "MARKETLAKE_MAIL__URL",
            format!("u:{SECRET}@mail.example.com"),
        ),
        ("MARKETLAKE_MAIL__URL", format!("smtp://u:{SECRET}")),
        ("MARKETLAKE_MAIL__URL", SECRET.to_owned()),
        ("MARKETLAKE_MAIL__URL", format!("pigeon://u:{SECRET}@x")),
        (
            "MARKETLAKE_DATABASE__URL",
            format!("postgres://u:{SECRET}@host:99999/db"),
        ),
        (
            "MARKETLAKE_DATABASE__URL",
            format!("mysql://u:{SECRET}@host/db"),
        ),
        (
            "MARKETLAKE_DATABASE__URL",
            format!("postgres://u:{SECRET}/x@host/db"),
        ),
        (
            "MARKETLAKE_STORE__URL",
            format!("s3://key:{SECRET}@bucket/x"),
        ),
        (
            "MARKETLAKE_STORE__ENDPOINT",
            format!("http://key:{SECRET}@127.0.0.1:1"),
        ),
        (
            "MARKETLAKE_FEEDS",
            format!("[{{kind=\"binance\",base_url=\"http://u:{SECRET}@[x\"}}]"),
        ),
        (
            "MARKETLAKE_FEEDS",
            format!("[{{kind=\"binance\",base_url=\"ftp://u:{SECRET}@x\"}}]"),
        ),
        ("MARKETLAKE_MAIL", format!("smtp://u:{SECRET}@host")),
        (
            "MARKETLAKE_AUTH__OIDC__ISSUER",
            format!("http://u:{SECRET}@host"),
        ),
        (
            "MARKETLAKE_SERVER__PUBLIC_URL",
            format!("ftp://u:{SECRET}@host"),
        ),
    ] {
        let program = Program::on(&base)
            .with("MARKETLAKE_STORE__REGION", "us-east-1")
            .with("MARKETLAKE_DATABASE__ACQUIRE_TIMEOUT", "200ms")
            .with(name, &value);
        for command in ["up", "doctor", "config"] {
            let said = program.run(&[command]).await;
            assert!(
                !said.err.contains(SECRET) && !said.out.contains(SECRET),
                "{command} {value}: {said:?}"
            );
            assert!(
                command == "config" || said.code > 0 || command == "doctor",
                "{value}: {said:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_follows_no_redirect_to_another_host() {
    let other = Exchange::with([Answer::ok("{\"result\":{}}")]).await;
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = format!("{}/markets/prices", other.url);
        let answer = Answer::status(status, "").header("location", &elsewhere);
        let exchange = Exchange::with([answer]).await;
        let host = exchange.url.strip_prefix("http://").unwrap();
        let base = Base::local().await;
        let feeds = format!(
            "[{{kind=\"cryptowatch\",api_key=\"{SECRET}\",base_url=\"http://u:{SECRET}@{host}\"}}]"
        );
        let slot = last_minute().await.to_string();
        let said = Program::on(&base)
            .with("MARKETLAKE_FEEDS", feeds)
            .run(&["run", "ingest-minute", "--slot", &slot])
            .await;
        assert_eq!(exchange.keys(), [Some(SECRET.to_owned())], "{said:?}");
        let shown = format!("{}{}", said.out, said.err);
        assert!(
            shown.contains("redirects are followed on the configured host only"),
            "{said:?}"
        );
        assert!(!shown.contains(SECRET), "{said:?}");
    }
    assert_eq!(other.requests(), Vec::<String>::new());
    // On the same host it does.
    let near = Answer::status(302, "").header("location", "/elsewhere");
    let exchange = Exchange::with([near, Answer::ok("{\"result\":{\"market:a:b\":1}}")]).await;
    let base = Base::local().await;
    let feeds = format!(
        "[{{kind=\"cryptowatch\",api_key=\"{SECRET}\",base_url=\"{}\"}}]",
        exchange.url
    );
    let slot = last_minute().await.to_string();
    Program::on(&base)
        .with("MARKETLAKE_FEEDS", feeds)
        .ok(&["run", "ingest-minute", "--slot", &slot])
        .await;
    assert_eq!(exchange.requests(), ["/markets/prices", "/elsewhere"]);
    assert_eq!(exchange.keys()[1].as_deref(), Some(SECRET));
}
