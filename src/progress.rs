//! Progress of long work, on stderr: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work of a known number of steps.
pub(crate) struct Progress {
    name: &'static str,
    bar: ProgressBar,
    is_terminal: bool,
    samples: AtomicU64,
    begun: Instant,
}

impl Progress {
    pub(crate) fn new(name: &'static str, unit: &str, steps: usize) -> Self {
        let is_terminal = stderr().is_terminal();
        let target = if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
        let template = format!("{name} {{bar:30}} {{pos}}/{{len}} {unit}, {{msg}}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self {
            name,
            bar,
            is_terminal,
            samples: AtomicU64::new(0),
            begun: Instant::now(),
        }
    }

    /// Completes a step with a number of samples.
    pub(crate) fn step(&self, samples: usize) {
        self.samples.fetch_add(samples as u64, Ordering::Relaxed);
        self.bar.inc(1);
        self.bar.set_message(self.rate());
    }

    /// Completes steps that were done before, without counting them for the rate.
    pub(crate) fn skip(&self, steps: usize) {
        self.bar.inc(steps as u64);
        self.bar.reset_eta();
    }

    /// Prints a line of progress if there is no bar.
    pub(crate) fn line(&self, what: &str) {
        if !self.is_terminal {
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let left = HumanDuration(self.bar.eta());
            tracing::info!(
                "{}: {what}; {done} of {all}, {}, {left} left",
                self.name,
                self.rate()
            );
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self) -> String {
        let samples = self.samples.load(Ordering::Relaxed) as f64;
        let rate = samples / self.begun.elapsed().as_secs_f64().max(0.001);
        format!("{rate:.0} samples/s")
    }
}
