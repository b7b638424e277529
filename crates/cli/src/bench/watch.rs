//! What is being measured, on stderr: a bar where there is a terminal, a line for each measurement elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use gatemill_train::bench::{Kind, Task};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar moves this often, so that it is seen to live; more often it would disturb what is measured.
const TICK: Duration = Duration::from_millis(500);

/// Shows measurements.
pub(super) struct Watch {
    bar: Option<ProgressBar>,
    count: usize,
    done: usize,
}

impl Watch {
    /// Of so many.
    pub(super) fn new(count: usize) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let bar = (std::io::stderr().is_terminal() && !dumb).then(|| {
            let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}, {elapsed} so far") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, count, done: 0 }
    }

    /// The next one begins.
    pub(super) fn next(&mut self, task: &Task, threads: usize) {
        let work = match task.kind {
            Kind::Train => "",
            Kind::Score => "scoring with ",
            Kind::Generate => "writing with ",
        };
        let what = format!("{work}{}, {threads} thread{}", task.sizes, if threads == 1 { "" } else { "s" });
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.done as u64);
                bar.set_message(what);
                bar.enable_steady_tick(TICK);
            }
            None => {
                let number = self.done.saturating_add(1);
                let _ = writeln!(std::io::stderr().lock(), "{number}/{}: {what}", self.count);
            }
        }
        self.done = self.done.saturating_add(1);
    }

    /// Takes the bar away.
    pub(super) fn close(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
