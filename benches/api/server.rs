//! The server's process, as benchmarks hold it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use parking_lot::Mutex;

use crate::measure::Place;

/// Ends with its holder.
pub struct Server {
    pub address: String,
    child: Child,
    orders: Option<ChildStdin>,
    said: Arc<Mutex<Vec<String>>>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one that ingests `minutes` minutes on command.
    pub fn start(place: &Place, name: &str, minutes: i64) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(place.root())
            .arg(name)
            .arg(minutes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let output = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let first = lines.next().context("the server ended")??;
        let address = first.strip_prefix("ready ").context("not ready")?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let listening = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().push(line);
            }
        });
        Ok(Self {
            address: address.to_owned(),
            child,
            orders,
            said,
            listening: Some(listening),
        })
    }

    /// Lets it ingest.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("it has ended")?;
        Ok(writeln!(orders, "begin")?)
    }

    /// Lines so far that begin with `word`, without it.
    pub fn said(&self, word: &str) -> Vec<String> {
        let said = self.said.lock();
        let rest = said
            .iter()
            .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        rest.map(str::to_owned).collect()
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path)?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kib.context("no VmRSS")?.parse::<f64>()? * 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}
