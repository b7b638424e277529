//! `events.jsonl` in one pass: sums over its steps, an even choice of its evaluations and samples, its end.
//!
//! Nearly all lines are steps. They are told by their first bytes and read as five numbers; only the others are read as
//! events. So a million steps take less than a second, and the memory needed does not depend on their number.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;

use super::thinned::Thinned;
use super::{History, Point};
use crate::error::TrainError;
use crate::events::{Done, Event, Notice, Override, Sample, Start};

/// What every step's line begins with: `Event::write_line` puts the kind first.
const STEP: &[u8] = b"{\"event\":\"step\",";
/// A longer line is no event: samples and configurations are far shorter.
const LINE_MAX_BYTES: u64 = 8 << 20;
/// Read at once.
const BUFFER_BYTES: usize = 1 << 18;
/// Notices and overrides that are kept.
const MOST_WORDS: usize = 16;

/// The numbers of a step's line that matter here; a loss that is no number is null.
#[derive(Deserialize)]
struct StepLine {
    step: u64,
    tokens: u64,
    train_nats: Option<f64>,
    lr: Option<f64>,
    tokens_per_s: Option<f64>,
}

/// How the log ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum End {
    /// In the middle.
    #[default]
    None,
    /// The run's end.
    Done,
    /// A signal.
    Stopped { signal: String },
    /// Divergence.
    Diverged,
}

/// A log that was read.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) start: Option<Start>,
    pub(super) end: End,
    pub(super) done: Option<Done>,
    pub(super) step: u64,
    pub(super) tokens: u64,
    pub(super) seconds: f64,
    /// Tokens of the steps whose seconds are known.
    pub(super) measured_tokens: f64,
    pub(super) train_nats: Option<f64>,
    pub(super) val_nats: Option<f64>,
    pub(super) best: Option<(f64, u64)>,
    /// The step of the best model's file.
    pub(super) best_saved: Option<u64>,
    pub(super) curve: Thinned<Point>,
    pub(super) samples: Thinned<Sample>,
    pub(super) notices: VecDeque<Notice>,
    pub(super) overrides: VecDeque<Override>,
    pub(super) unreadable: u64,
    pub(super) torn: bool,
    lr: Option<f64>,
    /// Losses of the steps since the last point: their sum and number.
    since: (f64, u64),
    /// Points since the last epoch's end.
    points: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            start: None,
            end: End::None,
            done: None,
            step: 0,
            tokens: 0,
            seconds: 0.0,
            measured_tokens: 0.0,
            train_nats: None,
            val_nats: None,
            best: None,
            best_saved: None,
            curve: Thinned::new(History::MOST_POINTS),
            samples: Thinned::new(History::MOST_SAMPLES),
            notices: VecDeque::new(),
            overrides: VecDeque::new(),
            unreadable: 0,
            torn: false,
            lr: None,
            since: (0.0, 0),
            points: 0,
        }
    }
}

impl Log {
    /// Reads to the end. Errors: the reader's.
    pub(super) fn read(from: impl Read) -> io::Result<Self> {
        let mut log = Self::default();
        let mut from = BufReader::with_capacity(BUFFER_BYTES, from);
        let mut line = Vec::new();
        loop {
            line.clear();
            if from.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.ends_with(b"\n") {
                log.line(&line);
            } else if line.len() as u64 == LINE_MAX_BYTES {
                from.skip_until(b'\n')?;
                log.unreadable += 1;
            } else {
                log.torn = true;
            }
        }
        if let Some(mean) = log.mean_since() {
            log.train_nats = Some(mean);
        }
        if let Some(done) = &log.done {
            log.train_nats = done.train_nats.or(log.train_nats);
        }
        Ok(log)
    }

    fn line(&mut self, line: &[u8]) {
        if line.starts_with(STEP) {
            match serde_json::from_slice::<StepLine>(line) {
                Ok(step) => self.step(&step),
                Err(_) => self.unreadable += 1,
            }
            return;
        }
        match serde_json::from_slice::<Event>(line) {
            Ok(event) => self.event(event),
            Err(_) => self.unreadable += 1,
        }
    }

    fn step(&mut self, line: &StepLine) {
        let tokens = line.tokens.saturating_sub(self.tokens) as f64;
        if let Some(rate) = line.tokens_per_s.filter(|&rate| rate > 0.0) {
            self.seconds += tokens / rate;
            self.measured_tokens += tokens;
        }
        if let Some(nats) = line.train_nats {
            self.since = (self.since.0 + nats, self.since.1 + 1);
        }
        (self.step, self.tokens, self.lr) = (line.step, line.tokens, line.lr);
    }

    fn event(&mut self, event: Event) {
        self.step = self.step.max(event.step());
        match event {
            Event::Start(start) => {
                (self.end, self.done) = (End::None, None);
                self.start = Some(*start);
            }
            Event::Override(change) => latest(&mut self.overrides, change),
            Event::Notice(notice) => {
                if says_divergence(&notice.text) {
                    self.end = End::Diverged;
                }
                latest(&mut self.notices, notice);
            }
            Event::Step(step) => self.step(&StepLine {
                step: step.step,
                tokens: step.tokens,
                train_nats: Some(step.train_nats),
                lr: Some(step.lr),
                tokens_per_s: Some(step.tokens_per_s),
            }),
            Event::Eval(eval) => {
                self.point(eval.step).val_nats = Some(eval.val_nats);
                self.val_nats = Some(eval.val_nats);
                if self.best.is_none_or(|(best, _)| eval.val_nats < best) {
                    self.best = Some((eval.val_nats, eval.step));
                }
            }
            Event::Epoch(epoch) => {
                self.point(epoch.step);
                let alone = std::mem::take(&mut self.points) <= 1;
                let point = self.point(epoch.step);
                point.epoch_end = Some(epoch.epoch);
                point.val_nats = point.val_nats.or(epoch.val_nats);
                // Where the row is the epoch's only one, its mean is the one that the run itself tells.
                if alone {
                    point.train_nats = Some(epoch.train_nats);
                    self.train_nats = Some(epoch.train_nats);
                }
            }
            Event::Flow(_) => {}
            Event::Sample(sample) => self.samples.push(sample),
            Event::Checkpoint(checkpoint) => {
                if checkpoint.best {
                    self.best_saved = Some(checkpoint.step);
                }
            }
            Event::Stopped(stopped) => self.end = End::Stopped { signal: stopped.signal },
            Event::Done(done) => {
                self.end = End::Done;
                self.tokens = done.tokens;
                self.done = Some(done);
            }
        }
    }

    fn mean_since(&self) -> Option<f64> {
        let (sum, count) = self.since;
        (count > 0).then(|| sum / count as f64)
    }

    /// The point of a step: the newest, or a new one.
    fn point(&mut self, step: u64) -> &mut Point {
        let (mean, lr, seconds) = (self.mean_since(), self.lr, self.seconds);
        if self.curve.newest_mut().is_none_or(|newest| newest.step != step) {
            self.train_nats = mean.or(self.train_nats);
            self.since = (0.0, 0);
            self.points += 1;
            self.curve.push(Point { step, epoch_end: None, train_nats: mean, val_nats: None, lr, seconds });
        }
        self.curve.newest_mut().expect("just pushed")
    }
}

/// Adds to a short list whose oldest entries go.
fn latest<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() == MOST_WORDS {
        list.pop_front();
    }
    list.push_back(entry);
}

/// Whether a notice is the error of a run that diverged: the log has the error's own words.
fn says_divergence(text: &str) -> bool {
    let words = TrainError::Diverged { step: 0, what: String::new(), usable: true }.to_string();
    words.split_once(" 0:").is_some_and(|(words, _)| text.starts_with(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Checkpoint, Epoch, Eval, Step, Stopped};

    fn step(step: u64, train_nats: f64) -> Event {
        Event::Step(Step {
            step,
            epoch: 1,
            tokens: 10 * step,
            train_nats,
            grad_norm: 1.0,
            lr: 0.5 / step as f64,
            tokens_per_s: 20.0,
            accuracy: None,
        })
    }
    fn eval(step: u64, val_nats: f64) -> Event {
        Event::Eval(Eval { step, val_nats, val_bits: 0.0, tokens: 1, unseen: 0, metrics: Default::default() })
    }
    fn epoch(step: u64, epoch: u64, train_nats: f64) -> Event {
        Event::Epoch(Epoch { step, epoch, train_nats, val_nats: None, seconds: 1.0 })
    }
    fn text(events: &[Event]) -> Vec<u8> {
        let mut text = Vec::new();
        events.iter().for_each(|event| event.write_line(&mut text));
        text
    }
    fn read(events: &[Event]) -> Log {
        Log::read(text(events).as_slice()).expect("read")
    }

    #[test]
    fn a_steps_line_begins_as_it_is_told_by() {
        assert!(text(&[step(1, 2.0)]).starts_with(STEP));
    }

    #[test]
    fn points_hold_the_mean_since_the_one_before() {
        let best = Event::Checkpoint(Checkpoint { step: 4, path: String::new(), size_bytes: 1, best: true });
        let log = read(&[
            step(1, 4.0),
            step(2, 2.0),
            eval(2, 3.5),
            step(3, 2.0),
            step(4, 1.0),
            eval(4, 1.5),
            best,
            epoch(4, 1, 2.25),
            step(5, 1.0),
            step(6, 0.5),
            epoch(6, 2, 0.75),
            step(7, 0.25),
            eval(7, 1.75),
            step(8, 0.125),
        ]);
        let point = |step, epoch_end, train: f64, val_nats| Point {
            step,
            epoch_end,
            train_nats: Some(train),
            val_nats,
            lr: Some(0.5 / step as f64),
            seconds: step as f64 / 2.0,
        };
        let expected = [
            point(2, None, 3.0, Some(3.5)),
            point(4, Some(1), 1.5, Some(1.5)),
            point(6, Some(2), 0.75, None),
            point(7, None, 0.25, Some(1.75)),
        ];
        assert_eq!((log.best, log.val_nats, log.best_saved), (Some((1.5, 4)), Some(1.75), Some(4)));
        assert_eq!((log.step, log.tokens, log.seconds, log.train_nats), (8, 80, 4.0, Some(0.125)));
        assert_eq!(log.curve.into_vec(), expected);
    }

    #[test]
    fn the_end_is_the_last_one_and_a_new_start_takes_it_back() {
        let stopped = || Event::Stopped(Stopped { step: 2, signal: "SIGINT".to_owned() });
        let error = TrainError::Diverged { step: 3, what: "loss".to_owned(), usable: true };
        let diverged = || Event::Notice(Notice { step: 2, text: error.to_string() });
        let notice = || Event::Notice(Notice { step: 2, text: "the corpus is strange".to_owned() });
        assert_eq!(read(&[step(1, 1.0), notice()]).end, End::None);
        assert_eq!(read(&[step(1, 1.0), stopped()]).end, End::Stopped { signal: "SIGINT".to_owned() });
        assert_eq!(read(&[step(1, 1.0), notice(), diverged()]).end, End::Diverged);
        let start = Event::Start(Box::new(Start {
            step: 2,
            run: "r".to_owned(),
            version: "0".to_owned(),
            isa: "avx2".to_owned(),
            threads: 1,
            corpus: "c".to_owned(),
            train_symbols: 1,
            val_symbols: 1,
            test_symbols: 0,
            dropped_symbols: 0,
            vocab: 2,
            parameters: 3,
            memory_bytes: 4,
            flops_per_token: 5.0,
            steps: 6,
            steps_per_epoch: 3,
            seconds_per_epoch: 0.5,
            seconds_in_all: 1.0,
            config: crate::Config::default(),
            task: None,
        }));
        assert_eq!(read(&[step(1, 1.0), diverged(), start]).end, End::None);
    }

    #[test]
    fn every_cut_and_every_kind_of_rubbish_is_survived() {
        let whole = text(&[step(1, 1.0), eval(1, 2.0), step(2, 3.0), epoch(2, 1, 2.0)]);
        for len in 0..whole.len() {
            let log = Log::read(&whole[..len]).expect("read");
            assert_eq!(log.unreadable, 0, "cut at byte {len}");
            assert_eq!(log.torn, len > 0 && whole[len - 1] != b'\n', "cut at byte {len}");
        }
        let mut rubbish =
            b"{\"event\":\"step\",\"step\":null}\n\xff\xfe\n\n{\"event\":\"of tomorrow\",\"step\":9}\n[]\n".to_vec();
        rubbish.extend_from_slice(&whole);
        let log = Log::read(rubbish.as_slice()).expect("read");
        assert_eq!((log.unreadable, log.step, log.best), (5, 2, Some((2.0, 1))));
        // A loss that is no number is written as null.
        assert_eq!(read(&[step(1, f64::NAN), step(2, 1.0)]).train_nats, Some(1.0));
    }

    #[test]
    fn what_is_kept_does_not_grow_with_the_log() {
        let sample = |step| Event::Sample(Sample { step, train_nats: 1.0, text: "x".to_owned() });
        let notice = |step| Event::Notice(Notice { step, text: "x".to_owned() });
        let log: Vec<Event> = (1..=3000).flat_map(|s| [step(s, 1.0), eval(s, 1.0), sample(s), notice(s)]).collect();
        let log = read(&log);
        assert_eq!((log.step, log.notices.len()), (3000, MOST_WORDS));
        let (curve, samples) = (log.curve.into_vec(), log.samples.into_vec());
        assert!(curve.len() <= History::MOST_POINTS && samples.len() <= History::MOST_SAMPLES);
        assert_eq!((curve[0].step, samples[0].step), (1, 1));
        assert_eq!((curve.last().map(|point| point.step), samples.last().map(|s| s.step)), (Some(3000), Some(3000)));
    }

    #[test]
    fn a_line_without_end_takes_no_memory_of_its_length() {
        let long = io::repeat(b'x').take(LINE_MAX_BYTES * 3 + 5);
        let after = text(&[step(1, 1.0)]);
        let log = Log::read(long.chain(b"\n".as_slice()).chain(after.as_slice())).expect("read");
        assert_eq!((log.unreadable, log.step, log.torn), (1, 1, false));
    }
}
