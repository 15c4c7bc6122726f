//! The program, as its users run it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::base::Base;

/// A way to call the program.
#[derive(Clone)]
pub struct Program {
    settings: Vec<(String, String)>,
}

/// What one call said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Program {
    pub fn on(base: &Base) -> Self {
        Self {
            settings: base.settings(),
        }
    }

    /// With no settings but these.
    pub fn bare() -> Self {
        Self {
            settings: Vec::new(),
        }
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marketlake"));
        command.args(arguments).stdin(Stdio::null());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs to the end.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs to the end, which must be a good one. Returns what it wrote to stdout.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said.out
    }

    /// The same as JSON.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--format", "json"]);
        serde_json::from_str(&self.ok(&all).await).unwrap()
    }

    /// Starts it, without waiting for anything.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        Running {
            child,
            log: Some(log),
            address: None,
        }
    }

    /// Starts `up`, and waits until it answers.
    pub async fn up(&self, arguments: &[&str]) -> Running {
        let mut all = vec!["up"];
        all.extend(arguments);
        let mut running = self.start(&all);
        let out = running.child.stdout.take().unwrap();
        let first = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).unwrap();
            line
        });
        let line = first.await.unwrap();
        let Some(address) = line.trim().strip_prefix("marketlake answers at ") else {
            let log = running.end_log();
            panic!("it did not start: {line:?}\n{log}");
        };
        running.address = Some(address.to_owned());
        running.wait_until_ready().await;
        running
    }
}

/// A running program. Killed when dropped.
pub struct Running {
    child: Child,
    log: Option<std::thread::JoinHandle<String>>,
    address: Option<String>,
}

impl Running {
    pub fn url(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.address.as_deref().expect("it answers over HTTP")
        )
    }

    async fn wait_until_ready(&self) {
        let url = self.url("/readyz");
        super::eventually("the server to be ready", async || {
            let response = reqwest::get(&url).await.ok()?;
            response.status().is_success().then_some(())
        })
        .await;
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(self.url(path)).await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    pub async fn text(&self, path: &str) -> String {
        self.get(path).await.text().await.unwrap()
    }

    /// The whole answer to a GraphQL request.
    pub async fn graphql(&self, query: &str) -> Value {
        let body = serde_json::json!({"query": query}).to_string();
        let request = reqwest::Client::new()
            .post(self.url("/graphql"))
            .header("content-type", "application/json");
        let response = request.body(body).send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    /// SIGKILL: no farewell.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ctrl-C. Returns the exit status and how long it took.
    pub async fn interrupt(&mut self) -> (i32, Duration) {
        let begun = std::time::Instant::now();
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .unwrap()
                .success()
        );
        let status = super::eventually("the end after Ctrl-C", async || {
            self.child.try_wait().unwrap()
        })
        .await;
        (status.code().unwrap_or(-1), begun.elapsed())
    }

    /// Everything it logged, once it has ended.
    pub fn end_log(&mut self) -> String {
        self.kill();
        self.log
            .take()
            .map(|log| log.join().unwrap())
            .unwrap_or_default()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
