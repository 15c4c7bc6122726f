//! The operator key: made once, in a file of its own, and shown on a terminal only.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::operators_only;
use crate::rest::{HISTORY, serve, serve_with};
use crate::support::base::{Base, on_both};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::program::Program;

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_made_at_the_first_start_and_stays() {
    on_both(async |base: Base| {
        let mut server = serve(&base, HISTORY).await;
        let key = server.operator_key();
        assert!(key.starts_with("ml_operator_"), "{key}");
        let file = base.path().join("data/operator.key");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(operators_only(&server.operator()).await, Value::Null);
        // Two more that share the folder share the key, and neither prints nor logs it.
        let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[]");
        let (mut one, two) = tokio::join!(
            program.up(&["--role", "api"]),
            program.up(&["--role", "api"])
        );
        for server in [&one, &two] {
            assert_eq!(server.operator_key(), key);
            assert_eq!(operators_only(&server.operator()).await, Value::Null);
        }
        for server in [&mut server, &mut one] {
            let log = server.end_log();
            assert!(!log.contains(&key), "{log}");
        }
        // No row knows it, so that a copied database opens nothing.
        assert_eq!(program.json(&["keys", "list"]).await, serde_json::json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_lost_replaced_or_shown_to_others_is_refused_at_once() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let file = base.path().join("data/operator.key");
    let program = Program::on(&base);
    let refused = async |client: Client| {
        eventually("the old key to be refused", async || {
            let answer = client.get("/v1/metrics").await;
            (answer.status.as_u16() == 401).then_some(())
        })
        .await;
    };
    let first = server.operator();
    let said = program.ok(&["keys", "rotate-operator"]).await;
    assert!(said.contains("operator.key"), "{said}");
    refused(first).await;
    let second = server.operator();
    assert_eq!(operators_only(&second).await, Value::Null);
    let other = Base::local().await;
    let stranger = serve(&other, HISTORY).await;
    let foreign = Client::of(&server).with_key(&stranger.operator_key());
    assert_eq!(foreign.get("/v1/metrics").await.status.as_u16(), 401);
    // Readable by others, it is nobody's.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(second.clone()).await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    eventually("the key to be good again", async || {
        operators_only(&second).await.is_null().then_some(())
    })
    .await;
    let key = read(&file);
    std::fs::remove_file(&file).unwrap();
    refused(second).await;
    // The next start makes another one.
    let again = program
        .with("MARKETLAKE_FEEDS", "[]")
        .up(&["--role", "api"])
        .await;
    assert_ne!(again.operator_key(), key);
    assert_eq!(operators_only(&again.operator()).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_key_stops_no_server_and_lets_nobody_in() {
    let base = Base::local().await;
    let data = base.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    for text in ["", "password\n", "ml_operator_x\n", "ml_0123456789_x\n"] {
        let file = data.join("operator.key");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut server = serve(&base, HISTORY).await;
        let client = Client::of(&server).with_key(text.trim());
        assert_eq!(
            client.get("/v1/metrics").await.status.as_u16(),
            401,
            "{text:?}"
        );
        let log = server.end_log();
        assert!(
            log.contains("operator.key: expected an operator key"),
            "{log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_shown_a_link_with_it_in_the_fragment() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let out = program.ok(&["demo", "--for", "1s"]).await;
    let key = read(&base.path().join("data/operator.key"));
    assert!(!out.contains(&key), "{out}");
    // `script` runs a command on a terminal of its own.
    let mut command = Command::new("script");
    let binary = env!("CARGO_BIN_EXE_marketlake");
    command.args(["-qec", &format!("{binary} demo --for 1s"), "/dev/null"]);
    command.envs(base.settings());
    let shown = tokio::task::spawn_blocking(move || command.output().unwrap());
    let shown = String::from_utf8(shown.await.unwrap().stdout).unwrap();
    let link = shown
        .lines()
        .find(|line| line.contains(&key))
        .expect(&shown);
    assert!(link.contains("http://127.0.0.1:"), "{link}");
    assert!(link.trim().ends_with(&format!("/#key={key}")), "{link}");
}

#[tokio::test(flavor = "multi_thread")]
async fn smoke_asks_a_server_of_this_machine_with_it() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_AUTH__ANONYMOUS", "none");
    let server = serve_with(&program, &base, HISTORY).await;
    let said = program.run(&["smoke", &server.url("")]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.out.contains("needs a key"), "{said:?}");
    // One of another folder is not this server's.
    let other = Base::local().await;
    let stranger = Program::on(&other);
    stranger.ok(&["keys", "rotate-operator"]).await;
    let said = stranger.run(&["smoke", &server.url("")]).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("is not this server's"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_name_scope_or_time_is_not_made() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let long = "x".repeat(101);
    for (arguments, expected) in [
        (&["create", ""][..], "NAME: expected 1 to 100 characters"),
        (&["create", "  "], "NAME: expected 1 to 100 characters"),
        (
            &["create", "two\nlines"],
            "NAME: expected 1 to 100 characters",
        ),
        (
            &["create", "a\u{1b}[2J"],
            "NAME: expected 1 to 100 characters",
        ),
        (&["create", &long], "NAME: expected 1 to 100 characters"),
        (
            &["create", "--scopes", "", "x"],
            "--scopes: expected one scope or more",
        ),
        (
            &["create", "--scopes", " , ", "x"],
            "--scopes: expected one scope or more",
        ),
        (
            &["create", "--expires", "0s", "x"],
            "--expires: expected more than 0",
        ),
        (
            &["create", "--expires", "11y", "x"],
            "--expires: expected more than 0",
        ),
        (&["create", "--expires", "500000000y", "x"], "--expires"),
    ] {
        let said = program.run(&[&["keys"], arguments].concat()).await;
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.err.contains(expected), "{arguments:?}: {said:?}");
    }
    assert_eq!(program.json(&["keys", "list"]).await, serde_json::json!([]));
}
