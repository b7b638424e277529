//! What people see on stderr while a run goes: a bar where there is a terminal, plain lines at rising intervals elsewhere.
//!
//! The bar shows loss, bits per character, characters per second and the time left. Samples, scores and notices stand as
//! lines above it. Texts by a model or a path may hold anything, so control characters are replaced before they are shown.
//! Nothing here can fail: a closed stderr is written to in vain.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::task::tell;
use gatemill_inspect::gradflow::words;
use gatemill_train::CellKind;
use gatemill_train::events::{Event, Flow, Metrics, Start, Step};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar is redrawn at most this often.
const REDRAW: Duration = Duration::from_millis(100);
/// The first plain line comes after this long; each further one after twice as long, up to the last of these.
const FIRST_LINE: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// Fewer steps per epoch than this are few: weights move once a step, whatever the batch. A guess.
const FEW_STEPS: u64 = 50;
/// Share of the newest step in the running means.
const NEWEST: f64 = 0.05;

/// Shows a run.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    start: Option<Start>,
    /// Where the next redraw or line is due.
    next: Instant,
    wait: Duration,
    /// Steps seen by this process.
    seen: u64,
    mean_nats: f64,
    /// Running mean of the seconds of a step.
    step_seconds: f64,
    /// Tokens so far.
    tokens: u64,
    /// What the last evaluation of a task measured, until it is shown.
    measured: Option<Metrics>,
}

/// Said where a model that has read its text once at most scores far worse on new text than in training.
const ASTRAY: &str = "note: validation is far above training, and not by learning by heart: the text was read once at most. \
                      Either its end is of another kind, or the model goes astray from a state of zeros, which training with a \
                      carried state hardly knows (doc/gru.md): --document-separator, where a text has documents, begins at each";

/// Whether a loss on new text is out of all proportion to that in training.
fn goes_astray(train_nats: f64, val_nats: f64) -> bool {
    train_nats > 0.0 && val_nats > 1.4 * train_nats
}

impl Progress {
    /// A bar if stderr is a terminal that can move its cursor.
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let bar = (std::io::stderr().is_terminal() && !dumb).then(ProgressBar::hidden);
        Self {
            bar,
            start: None,
            next: Instant::now(),
            wait: FIRST_LINE,
            seen: 0,
            mean_nats: 0.0,
            step_seconds: 0.0,
            tokens: 0,
            measured: None,
        }
    }

    /// Writes a line above the bar.
    pub(crate) fn line(&self, text: &str) {
        let write = || {
            let _ = writeln!(std::io::stderr().lock(), "{}", printable(text));
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn close(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Shows an event.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Start(start) => self.start(start),
            Event::Step(step) => self.step(step),
            Event::Override(change) => {
                self.line(&format!("note: {} is {} from here on (was {})", change.flag, change.to, change.from));
            }
            Event::Notice(notice) => self.line(&format!("note: {}", notice.text)),
            Event::Eval(eval) => {
                // An epoch's end says it too.
                if !self.start.as_ref().is_some_and(|start| eval.step.is_multiple_of(start.steps_per_epoch.max(1))) {
                    let score = match self.is_task() {
                        true => tell::measures(eval.val_nats, &eval.metrics),
                        false => losses(eval.val_nats),
                    };
                    self.line(&format!("step {}: validation {score}", eval.step));
                }
                self.measured = Some(eval.metrics.clone());
                if eval.unseen > 0 && !self.is_task() {
                    self.line(&format!("note: {} characters were never seen in training: left out", eval.unseen));
                }
                let carries = |start: &Start| start.task.is_none() && !start.config.no_carry;
                let once = |start: &Start| eval.step <= start.steps_per_epoch;
                let is_new = self.start.as_ref().is_some_and(|start| carries(start) && once(start));
                if is_new && goes_astray(self.mean_nats, eval.val_nats) {
                    self.line(ASTRAY);
                }
            }
            Event::Flow(flow) => self.line(&self.flow(flow)),
            Event::Epoch(epoch) => {
                let validation = epoch.val_nats.map_or(String::new(), |nats| format!(", validation {}", losses(nats)));
                let (number, train) = (epoch.epoch, losses(epoch.train_nats));
                if self.is_task() {
                    let measured = self.measured.take().unwrap_or_default();
                    let validation =
                        epoch.val_nats.map(|nats| format!("; validation {}", tell::measures(nats, &measured)));
                    let (validation, seconds) = (validation.unwrap_or_default(), duration(epoch.seconds));
                    self.line(&format!("epoch {number}: training {:.4} nats{validation}; {seconds}", epoch.train_nats));
                    return;
                }
                self.line(&format!("epoch {number}: training {train}{validation}, {}", duration(epoch.seconds)));
            }
            Event::Sample(sample) if self.is_task() => {
                self.line(&format!("\n--- what it says after step {} ---\n{}\n---", sample.step, sample.text));
            }
            Event::Sample(sample) => {
                let bits = sample.train_nats / std::f64::consts::LN_2;
                self.line(&format!(
                    "\n--- what it writes after step {} ({bits:.2} bits per character) ---\n{}\n---",
                    sample.step,
                    sample.text.trim_matches('\n')
                ));
            }
            Event::Checkpoint(_) | Event::Stopped(_) | Event::Done(_) => {}
        }
    }

    /// How far the model remembers, and how often clipping acted.
    fn flow(&self, flow: &Flow) -> String {
        let seq = self.start.as_ref().map_or(flow.distance, |start| start.config.seq);
        let end = match flow.memory_ends {
            Some(end) => format!("memory ends at about {end} characters"),
            None => format!("memory goes on for more than {} characters", flow.distance),
        };
        let judged = words::seq(flow.memory_ends, flow.distance, seq);
        let judged = if judged.is_empty() { String::new() } else { format!("; {judged}") };
        let clipped = match flow.clipped {
            Some(clipped) if flow.steps > 0 => {
                let share = (100.0 * clipped as f64 / flow.steps as f64).round();
                format!("; clipping acts in {share} % of the steps")
            }
            _ => String::new(),
        };
        format!("step {}: {end}{judged}{clipped}", flow.step)
    }

    fn is_task(&self) -> bool {
        self.start.as_ref().is_some_and(|start| start.task.is_some())
    }

    fn start(&mut self, start: &Start) {
        let config = &start.config;
        let cell = match config.cell {
            CellKind::Rnn => "RNN",
            CellKind::Lstm => "LSTM",
            CellKind::Gru => "GRU",
        };
        let mut lines = match &start.task {
            Some(facts) => tell::opening(start, facts, cell),
            None => vec![
                format!(
                    "text     {}: {} characters to learn from, {} to validate on{}, {} distinct",
                    start.corpus,
                    grouped(start.train_symbols),
                    grouped(start.val_symbols),
                    if start.test_symbols > 0 {
                        format!(", {} to test on at the end", grouped(start.test_symbols))
                    } else {
                        String::new()
                    },
                    start.vocab
                ),
                format!(
                    "model    {cell}, {} x {} units, {} parameters; {} MB of memory for all of the training",
                    config.layers,
                    config.hidden,
                    grouped(start.parameters),
                    start.memory_bytes.div_ceil(1_000_000)
                ),
            ],
        };
        lines.extend([
            if start.task.is_some() {
                let (steps, epoch) = (plural(start.steps, "step"), plural(start.steps_per_epoch, "step"));
                format!("run      {steps} of {} examples, {epoch} per epoch", config.batch)
            } else {
                format!(
                    "run      {} of {} x {} characters, {} per epoch; {} at the ends left out",
                    plural(start.steps, "step"),
                    config.lanes(),
                    config.seq,
                    plural(start.steps_per_epoch, "step"),
                    plural(start.dropped_symbols, "character")
                )
            },
            format!("machine  {}, {} kernels", plural(start.threads as u64, "thread"), start.isa),
            format!(
                "cost     about {} per epoch, {} {}, by a trial of a part of a step",
                duration(start.seconds_per_epoch),
                duration(start.seconds_in_all),
                if start.step > 0 { "to the end" } else { "in all" }
            ),
            format!("folder   {}", start.run),
        ]);
        if start.task.is_none() && start.steps_per_epoch < FEW_STEPS && config.batch > 1 {
            lines.push(format!(
                "note: {} per epoch: of so short a text a smaller --batch makes more",
                plural(start.steps_per_epoch, "step")
            ));
        }
        if start.step > 0 {
            lines.push(format!("resumed  after step {}", grouped(start.step)));
        }
        self.line(&lines.join("\n"));
        if let Some(bar) = &self.bar {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}") {
                bar.set_style(style);
            }
            bar.set_length(start.steps);
            bar.set_position(start.step);
        }
        self.start = Some(start.clone());
        self.tokens = 0;
        self.next = Instant::now().checked_add(self.wait).unwrap_or_else(Instant::now);
    }

    fn step(&mut self, step: &Step) {
        let Some(start) = &self.start else { return };
        // The first step that is seen of a run that goes on tells too many.
        let tokens = match self.tokens {
            0 if start.step > 0 => 0,
            before => step.tokens.saturating_sub(before),
        };
        let tokens = if start.task.is_some() { tokens } else { start.config.tokens_per_step() } as f64;
        self.tokens = step.tokens;
        let seconds = if step.tokens_per_s > 0.0 { tokens / step.tokens_per_s } else { 0.0 };
        self.seen = self.seen.saturating_add(1);
        if self.seen == 1 {
            (self.mean_nats, self.step_seconds) = (step.train_nats, seconds);
        } else {
            self.mean_nats += NEWEST * (step.train_nats - self.mean_nats);
            self.step_seconds += NEWEST * (seconds - self.step_seconds);
        }
        let left = start.steps.saturating_sub(step.step);
        let now = Instant::now();
        if now < self.next {
            return;
        }
        let rate = grouped((tokens / self.step_seconds.max(f64::MIN_POSITIVE)) as u64);
        let rest = duration(self.step_seconds * left as f64);
        let message = match start.task {
            Some(_) => format!("{:.4} nats, {rate} symbols/s, {rest} left", self.mean_nats),
            None => format!("{}, {rate} characters/s, {rest} left", losses(self.mean_nats)),
        };
        let wait = match &self.bar {
            Some(bar) => {
                bar.set_position(step.step);
                bar.set_message(message);
                REDRAW
            }
            None => {
                self.line(&format!("step {}/{}: {message}", step.step, self.start.as_ref().map_or(0, |s| s.steps)));
                self.wait = self.wait.saturating_mul(2).min(LONGEST_WAIT);
                self.wait
            }
        };
        self.next = now.checked_add(wait).unwrap_or(now);
    }
}

/// A loss in both units.
pub(crate) fn losses(nats: f64) -> String {
    format!("{nats:.4} nats = {:.3} bits per character", nats / std::f64::consts::LN_2)
}

/// A text with its control characters replaced, line ends and tabs excepted.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// Seconds in words.
pub(crate) fn duration(seconds: f64) -> String {
    // Rounded once, in the unit that is shown.
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..=119 => format!("{whole} s"),
        120..=7199 => format!("{} min", whole.saturating_add(30) / 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A count with its noun.
pub(crate) fn plural(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A count with commas.
pub(crate) fn grouped(count: u64) -> String {
    HumanCount(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_times_rounded() {
        let counts: Vec<String> = [0, 999, 1000, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
        let times: Vec<String> = [0.04, 9.94, 9.96, 119.4, 120.0, 7170.0, 7200.0].into_iter().map(duration).collect();
        assert_eq!(times, ["0.0 s", "9.9 s", "10 s", "119 s", "2 min", "120 min", "2 h 00 min"]);
    }

    #[test]
    fn a_model_that_goes_astray_is_told_from_one_that_learns() {
        // doc/gru.md: seeds 1 to 3, two layers.
        assert!(!goes_astray(0.9531, 0.9773) && goes_astray(0.9648, 1.6514) && goes_astray(0.9813, 5.4982));
        assert!(!goes_astray(0.7322, 0.7907) && !goes_astray(0.0, 3.0), "nothing was trained in this process yet");
    }

    #[test]
    fn a_text_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2J\r\nb\t\u{9b}c\r"), "a\u{fffd}[2J\nb\t\u{fffd}c\u{fffd}");
    }
}
