//! Settings: their sources, and the errors of wrong ones.

use super::file;
use crate::support::base::Base;
use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_is_named_with_its_value_and_what_was_expected() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let setting = |name: &str, value: &str| program.clone().with(name, value);
    let cases = [
        (
            setting("MARKETLAKE_SERVER__LISTEN", "everywhere"),
            vec!["up"],
            "setting server.listen = \"everywhere\": expected address:port like 127.0.0.1:8080",
        ),
        (
            setting(
                "MARKETLAKE_DATABASE__URL",
                "postgres://nobody:secret@127.0.0.1:1/x",
            ),
            vec!["up"],
            "setting database.url = \"postgres://nobody:***@127.0.0.1:1/x\": cannot reach the \
             database",
        ),
        (
            setting("MARKETLAKE_DATABASE__URL", "mysql://x"),
            vec!["check"],
            "setting database.url = \"mysql://x\": expected sqlite://FILE or postgres://..",
        ),
        (
            setting("MARKETLAKE_STORE__URL", "ftp://x/y"),
            vec!["check"],
            "setting store.url = \"ftp://x/y\": cannot reach the store: ftp://x/y: expected \
             file:// or s3://, got ftp://",
        ),
        (
            setting("MARKETLAKE_MAIL__URL", "pigeon://x"),
            vec!["up"],
            "setting mail.url = \"pigeon://x\": expected smtp://, smtps:// or file://",
        ),
        (
            setting("MARKETLAKE_MAIL__FROM", "nobody"),
            vec!["up"],
            "setting mail.from = \"nobody\": expected an address",
        ),
        (
            setting("MARKETLAKE_SERVER__LISTNE", "x"),
            vec!["config"],
            "setting server.listne: unknown, expected listen, public_url",
        ),
        (
            setting("MARKETLAKE_FEEDS", "[{kind=\"nyse\"}]"),
            vec!["config"],
            "setting feeds.0.kind = \"nyse\": expected binance, kraken, coinbase, okx, bybit, \
             bitstamp, cryptowatch, simulated or replay",
        ),
        (
            setting("MARKETLAKE_JOBS__VACUUM_GRACE_PERIOD", "soon"),
            vec!["vacuum"],
            "setting jobs.vacuum_grace_period = \"soon\": expected a time like 30s, 10m or 400d, \
             from 0s to 366d",
        ),
        (
            setting("MARKETLAKE_ATHENA__DATABASE", "my lake"),
            vec!["athena", "publish"],
            "setting athena.database = \"my lake\": expected a name of a to z, 0 to 9 and _",
        ),
        (
            setting("MARKETLAKE_ATHENA__TIMEOUT", "soon"),
            vec!["metrics"],
            "setting athena.timeout = \"soon\": expected a time like 30s, 10m or 400d, from 1s to \
             1d",
        ),
        (
            setting("MARKETLAKE_WEBHOOKS__MAX_CONNECTIONS", "257"),
            vec!["config"],
            "setting webhooks.max_connections = \"257\": expected a number from 1 to 256",
        ),
        (
            setting(
                "MARKETLAKE_WEBHOOKS__ALLOW_NETWORKS",
                "[\"10.0.0.0/8\", \"lan\"]",
            ),
            vec!["config"],
            "setting webhooks.allow_networks.1 = \"lan\": expected a network like 10.0.0.0/8",
        ),
        (
            setting(
                "MARKETLAKE_FEEDS",
                "[{kind=\"binance\",base_url=\"ftp://me:secret@host\"}]",
            ),
            vec!["config"],
            "setting feeds.0.base_url = \"ftp://***@host\": expected an address like https://",
        ),
        (
            setting("MARKETLAKE_ALERTS__MAX_METRICS", "many"),
            vec!["config"],
            "setting alerts.max_metrics: expected a whole number of 0 or more, got a text",
        ),
        (
            setting("MARKETLAKE_AUTH__ANONYMOUS", "true"),
            vec!["config"],
            "setting auth.anonymous = \"true\": expected ",
        ),
        (
            setting("MARKETLAKE_SERVER__HEADER_TIMEOUT", "30"),
            vec!["config"],
            "setting server.header_timeout = \"30\": expected a time like",
        ),
        (
            setting(
                "MARKETLAKE_SERVER__PUBLIC_URL",
                "https://u:secret@lake.example.com",
            ),
            vec!["config"],
            "expected an address without user, password and parameters",
        ),
        (
            setting(
                "MARKETLAKE_AUTH__OIDC__ISSUER",
                "https://u:secret@id.example.com",
            ),
            vec!["config"],
            "expected an address without user, password and parameters",
        ),
        (
            setting("MARKETLAKE_FEEDS", "[{seed=7}]"),
            vec!["config"],
            "setting feeds.0.kind = \"\": expected binance, kraken, coinbase, okx, bybit, bitstamp, \
             cryptowatch, simulated or replay",
        ),
        (
            setting("MARKETLAKE_ATHENA__OUTPUT_LOCATION", "/tmp"),
            vec!["metrics"],
            "setting athena.output_location = \"/tmp\": expected s3://bucket/prefix/",
        ),
        (
            setting("MARKETLAKE_ATHENA__WORKGROUPS", "[\"a\"]"),
            vec!["metrics"],
            "setting athena.workgroups = \"a\": athena reads S3 only",
        ),
    ];
    for (program, arguments, expected) in cases {
        let said = program.run(&arguments).await;
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.err.contains(expected), "{arguments:?}: {}", said.err);
        assert!(!said.err.contains("secret"), "{}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_digits_in_the_environment_stays_a_text() {
    for text in ["0123456789", "1e5", "true", "-7.50"] {
        let program = Program::bare()
            .with("MARKETLAKE_ATHENA__DATABASE", text)
            .with("MARKETLAKE_STORE__SECRET_ACCESS_KEY", text);
        let said = program.run(&["config"]).await;
        let shown = format!("{}{}", said.out, said.err);
        assert!(!shown.contains("secret_access_key: expected"), "{shown}");
        assert!(shown.contains(text) || said.code == 0, "{shown}");
    }
    let digits = Program::bare().with("MARKETLAKE_ATHENA__DATABASE", "0123");
    let shown = digits.ok(&["config"]).await;
    let database = shown
        .lines()
        .find(|line| line.starts_with("athena.database "));
    assert!(
        database.is_some_and(|line| line.contains("0123") && line.contains("environment")),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn config_says_where_each_setting_comes_from() {
    let base = Base::local().await;
    let toml = file(
        &base,
        "m.toml",
        "[server]\nlisten = \"127.0.0.1:9\"\n[[feeds]]\nkind = \"cryptowatch\"\napi_key = \
         \"hush\"\n",
    );
    let program = Program::bare().with("MARKETLAKE_DATABASE__URL", "postgres://me:hush@host/db");
    let out = program
        .ok(&["--config", &toml, "--data", "/tmp/elsewhere", "config"])
        .await;
    assert!(!out.contains("hush"), "{out}");
    let line = |name: &str| {
        out.lines()
            .find(|l| l.starts_with(&format!("{name} ")))
            .unwrap_or_else(|| panic!("{name}: {out}"))
            .to_owned()
    };
    assert!(
        line("server.listen").contains("127.0.0.1:9") && line("server.listen").contains("m.toml"),
        "{out}"
    );
    assert!(
        line("database.url").contains("postgres://me:***@host/db")
            && line("database.url").contains("environment"),
        "{out}"
    );
    assert!(line("data").contains("flag --data"), "{out}");
    assert!(line("mail.from").ends_with("default"), "{out}");
    assert!(
        line("store.url").contains("file:///tmp/elsewhere/lake")
            && line("store.url").contains("default"),
        "{out}"
    );
}
