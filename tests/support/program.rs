//! The program, as its users run it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::base::Base;
use super::client::Client;

/// A way to call the program.
#[derive(Clone)]
pub struct Program {
    settings: Vec<(String, String)>,
    /// Command that the shell runs before it becomes the program.
    first: String,
}

/// Exit code and output of one call.
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
            first: String::new(),
        }
    }

    /// With no settings but these.
    pub fn bare() -> Self {
        Self {
            settings: Vec::new(),
            first: String::new(),
        }
    }

    /// Limits the files that it may have open.
    pub fn with_max_files(mut self, files: u32) -> Self {
        self.first += &format!("ulimit -n {files}; ");
        self
    }

    /// Told by an error, not by a signal, where a file may not grow: `prlimit --fsize` fills its
    /// disk.
    pub fn with_limited_files(mut self) -> Self {
        self.first += "trap '' XFSZ; ";
        self
    }

    /// With Ctrl-C ignored at first, as a shell's script starts a program in the background.
    pub fn in_background(mut self) -> Self {
        self.first += "trap '' INT; ";
        self
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(other, _)| other != name);
        self
    }

    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_marketlake");
        let mut command = if self.first.is_empty() {
            Command::new(program)
        } else {
            let mut shell = Command::new("sh");
            let script = format!("{}exec \"$0\" \"$@\"", self.first);
            shell.args(["-c", &script, program]);
            shell
        };
        command.args(arguments).stdin(Stdio::null());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The data folder that its settings name.
    pub fn data(&self) -> Option<PathBuf> {
        let named = |(name, _): &&(String, String)| name == "MARKETLAKE_DATA";
        let last = self.settings.iter().rfind(named);
        last.map(|(_, value)| PathBuf::from(value))
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
        let err = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        let reading = std::thread::spawn(move || {
            for line in err.split(b'\n').map_while(Result::ok) {
                let mut log = kept.lock();
                log.push_str(&String::from_utf8_lossy(&line));
                log.push('\n');
            }
        });
        Running {
            child,
            log,
            reading: Some(reading),
            address: None,
            operations: None,
            data: self.data(),
        }
    }

    /// Starts `up` with the role `api` among others, and waits until it is ready.
    pub async fn up(&self, arguments: &[&str]) -> Running {
        let running = self.started(arguments, true).await;
        running.wait_until_ready().await;
        running
    }

    /// Starts `up` without the role `api`, and waits until its operations listener is there.
    pub async fn up_without_api(&self, arguments: &[&str]) -> Running {
        self.started(arguments, false).await
    }

    async fn started(&self, arguments: &[&str], has_api: bool) -> Running {
        let mut running = self.start(&[&["up"], arguments].concat());
        let out = running.child.stdout.take().unwrap();
        let lines = tokio::task::spawn_blocking(move || {
            let mut out = BufReader::new(out);
            let mut lines = vec![String::new(); 1 + usize::from(has_api)];
            for line in &mut lines {
                out.read_line(line).unwrap();
            }
            lines
        });
        let lines = lines.await.unwrap();
        let after = |words: &str| {
            let found = lines
                .iter()
                .find_map(|line| line.trim().strip_prefix(words));
            found.map(str::to_owned)
        };
        running.address = after("marketlake answers at ");
        running.operations = after("health and metrics at ");
        if lines[0].is_empty() {
            let log = running.end_log();
            panic!("it did not start: {lines:?}\n{log}");
        }
        running
    }
}

/// A running program. Killed when dropped.
pub struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    reading: Option<std::thread::JoinHandle<()>>,
    address: Option<String>,
    operations: Option<String>,
    data: Option<PathBuf>,
}

impl Running {
    pub fn url(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.address.as_deref().expect("it answers over HTTP")
        )
    }

    /// On the listener of health and `/metrics`.
    pub fn operations_url(&self, path: &str) -> String {
        let base = self.operations.as_deref();
        format!("{}{path}", base.expect("it has an operations listener"))
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        let answer = reqwest::get(self.operations_url("/metrics")).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        answer.text().await.unwrap()
    }

    /// The operator key in its data folder.
    pub fn operator_key(&self) -> String {
        let file = self.data.as_ref().unwrap().join("operator.key");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// The operator, by the key in its data folder.
    pub fn operator(&self) -> Client {
        Client::of(self).with_key(&self.operator_key())
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

    /// Sends a GraphQL query as the operator.
    pub async fn graphql_as_operator(&self, query: &str) -> Value {
        self.operator().graphql(query).await
    }

    /// SIGKILL: no farewell.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ctrl-C, once the program waits for it: whoever runs the tests may have it ignored until
    /// then. Returns the exit status and how long it took.
    pub async fn interrupt(&mut self) -> (i32, Duration) {
        let id = self.child.id().to_string();
        super::eventually("the program to wait for Ctrl-C", async || {
            catches_interrupt(&id).then_some(())
        })
        .await;
        let begun = std::time::Instant::now();
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
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
        self.log()
    }

    /// Log so far.
    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Its number among the system's processes.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, once it has ended.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child
            .try_wait()
            .unwrap()
            .map(|status| status.code().unwrap_or(-1))
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

/// Whether a process waits for Ctrl-C (proc(5): `SigCgt` is a mask of the signals caught).
fn catches_interrupt(id: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 0b10 != 0)
}
