//! Progress on stderr: a bar with rate, loss and time left on a terminal, a plain line now and then otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// How often a plain line is written.
const INTERVAL: Duration = Duration::from_secs(10);

/// The progress of a training run.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    batch: u64,
    steps_per_epoch: u64,
    epoch: u64,
    line_at: Instant,
    line_step: u64,
}

impl Progress {
    /// A run that has not begun.
    pub(crate) fn new() -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
            let template = "{prefix} {bar:30} {pos}/{len}  {msg}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        let line_at = Instant::now();
        Progress { bar, batch: 0, steps_per_epoch: 0, epoch: 0, line_at, line_step: 0 }
    }

    /// The run begins after `step` steps.
    pub(crate) fn start(&mut self, step: u64, steps_per_epoch: u64, batch: u64) {
        self.batch = batch;
        self.steps_per_epoch = steps_per_epoch;
        self.line_at = Instant::now();
        self.line_step = step;
    }

    /// A step is done.
    pub(crate) fn step(&mut self, step: u64, epoch: u64, position: u64, loss: f64) {
        match &self.bar {
            Some(bar) => {
                if epoch != self.epoch {
                    bar.reset();
                    bar.set_length(self.steps_per_epoch);
                    bar.set_prefix(format!("epoch {epoch}"));
                }
                bar.set_position(position);
                bar.set_message(format!(
                    "loss {loss:.4}  {:.0} examples/s",
                    bar.per_sec() * self.batch as f64
                ));
            }
            None if self.line_at.elapsed() >= INTERVAL => {
                let rate = (step - self.line_step) as f64 / self.line_at.elapsed().as_secs_f64();
                let rate = rate * self.batch as f64;
                let place = format!("epoch {epoch}  step {position}/{}", self.steps_per_epoch);
                output::note(&format!("{place}  loss {loss:.4}  {rate:.0} examples/s"));
                self.line_at = Instant::now();
                self.line_step = step;
            }
            None => {}
        }
        self.epoch = epoch;
    }

    /// Says something without disturbing the bar.
    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }

    /// Writes a line of data without disturbing the bar.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::line(text)),
            None => output::line(text),
        }
    }

    /// The run is over.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
