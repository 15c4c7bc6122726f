//! The server's process, as users run it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;

/// A running server on a folder of its own; ended when dropped.
pub struct Server {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Server {
    /// Starts it and waits until its first minute is recorded.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = std::fs::File::create("target/drill-load.log")?;
        let mut child = command(folder.path())
            .arg("up")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let output = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let address = loop {
            let line = lines.next().context("the server ended")??;
            if let Some((_, address)) = line.split_once("answers at http://") {
                break address.trim().parse()?;
            }
        };
        let server = Self {
            child,
            folder,
            address,
        };
        server.wait_for_a_minute().await?;
        Ok(server)
    }

    async fn wait_for_a_minute(&self) -> anyhow::Result<()> {
        let url = format!("http://{}/v1/metric/hottry/rank", self.address);
        for _ in 0..180 {
            let answer = reqwest::get(&url).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        anyhow::bail!("no minute was recorded within three minutes")
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Address of its server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Memory that it holds, in bytes.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kib.context("no VmRSS: the server ended")?.parse::<u64>()? << 10)
    }

    /// Its open descriptors.
    pub fn descriptors(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    /// The times of the samples of one metric in the last minutes, by the command line.
    pub async fn recorded_minutes(&self, length: Duration) -> anyhow::Result<Vec<String>> {
        // The newest minute is recorded a few seconds after its end.
        tokio::time::sleep(Duration::from_secs(70)).await;
        let output = self
            .run(&["timeseries", "hottry", "--format", "json"])
            .await?;
        let rows: Vec<Value> = serde_json::from_str(&output)?;
        let wanted = usize::try_from(length.as_secs() / 60)?;
        let times = rows.iter().filter_map(|row| row["timestamp"].as_str());
        let times: Vec<String> = times.map(str::to_owned).collect();
        Ok(times[times.len().saturating_sub(wanted)..].to_vec())
    }

    /// The line of `check --deep`.
    pub async fn check(&self) -> anyhow::Result<String> {
        self.run(&["check", "--deep"]).await
    }

    async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = command(self.folder.path());
        command.args(arguments);
        let output: Output = tokio::task::spawn_blocking(move || command.output()).await??;
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.success(), "{arguments:?}: {shown}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Ends it as Ctrl-C does.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        let id = self.id().to_string();
        Command::new("kill").args(["-INT", &id]).status()?;
        for _ in 0..150 {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the server did not end within 15 s")
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marketlake"));
    command
        .env("MARKETLAKE_DATA", folder)
        .env("MARKETLAKE_SERVER__LISTEN", "127.0.0.1:0")
        .env("MARKETLAKE_OPERATIONS__LISTEN", "127.0.0.1:0")
        .env("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]")
        .stdin(Stdio::null());
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
