//! "Train more": what a run wrote while it learned, at which loss, and how many of its words are words (lecture L5).
//!
//! Every sample of a run is drawn with the same seed and from the same prime ([`gatemill_train::run::sample_options`]), so
//! that two of them differ by what was learned between them. A word is a run of letters (with apostrophes inside), read
//! in lower case; it is *real* if it occurs as such in the text that was learned from. Words of one letter count as
//! neither, noise is full of real ones; nor does a word that the sample's end may have cut.

mod show; // as a page
mod words; // which are real

pub use show::page;

use gatemill_corpus::{Corpus, CorpusError};
use gatemill_train::history::{History, Point};
use gatemill_train::run::sample_options;
use serde::Serialize;
use words::{Known, places};

/// A sample of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// Steps made before it.
    pub step: u64,
    /// The same in epochs, where they are known.
    pub epochs: Option<f64>,
    /// Loss of the last chunk, nats per character.
    pub train_nats: f64,
    /// Loss on the validation text, where it was scored after the same step.
    pub val_nats: Option<f64>,
    /// Words in it.
    pub words: usize,
    /// Those that are real; none where the training text was not looked at.
    pub real: Option<usize>,
    /// What it wrote.
    pub text: String,
    /// Begin and end of each word in bytes of the text, and whether it is real.
    #[serde(skip)]
    places: Vec<(usize, usize, bool)>,
}

impl Stage {
    /// Real words of all, 0 to 1. None: no word, or the training text was not looked at.
    pub fn share(&self) -> Option<f64> {
        let real = self.real? as f64;
        (self.words > 0).then(|| real / self.words as f64)
    }
}

/// The samples of a run, in the order of their steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stages {
    /// The run's name.
    pub run: String,
    /// `lstm 2x256`, where it is known.
    pub model: Option<String>,
    /// Of every sample.
    pub seed: u64,
    /// Of every sample.
    pub temperature: f64,
    /// The samples.
    pub stages: Vec<Stage>,
    /// Losses along the way.
    #[serde(skip)]
    curve: Vec<Point>,
}

impl Stages {
    /// What a run's folder tells; words are not looked at yet.
    pub fn of(run: &History) -> Self {
        let options = sample_options(&run.config.clone().unwrap_or_default());
        let stage = |sample: &gatemill_train::events::Sample| {
            let scored = run.curve.iter().find(|point| point.step == sample.step);
            let places: Vec<_> = places(&sample.text, true).map(|(from, to)| (from, to, false)).collect();
            Stage {
                step: sample.step,
                epochs: run.epochs_at(sample.step),
                train_nats: sample.train_nats,
                val_nats: scored.and_then(|point| point.val_nats),
                words: places.len(),
                real: None,
                text: sample.text.clone(),
                places,
            }
        };
        Self {
            run: run.name.clone(),
            model: run.config.as_ref().map(|c| format!("{} {}x{}", c.cell.name(), c.layers, c.hidden)),
            seed: options.seed,
            temperature: options.temperature,
            stages: run.samples.iter().map(stage).collect(),
            curve: run.curve.clone(),
        }
    }

    /// Looks every word up in the text that was learned from. One pass; the memory is that of the samples' words.
    ///
    /// Errors: reading the text; nothing has changed then.
    pub fn look_up(&mut self, corpus: &Corpus) -> Result<(), CorpusError> {
        let mut known = Known::default();
        let word = |stage: &Stage, from: usize, to: usize| stage.text[from..to].to_lowercase();
        for stage in &self.stages {
            stage.places.iter().for_each(|&(from, to, _)| known.wants(word(stage, from, to)));
        }
        known.read(corpus)?;
        for stage in &mut self.stages {
            let mut places = std::mem::take(&mut stage.places);
            for (from, to, real) in &mut places {
                *real = known.has(&word(stage, *from, *to));
            }
            stage.real = Some(places.iter().filter(|place| place.2).count());
            stage.places = places;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatemill_corpus::OpenOptions;
    use gatemill_train::VocabChoice;

    fn stages(texts: &[&str]) -> Stages {
        let folder = tempfile::TempDir::new().unwrap();
        let mut log = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let sample =
                gatemill_train::events::Sample { step: i as u64 + 1, train_nats: 2.0, text: (*text).to_owned() };
            gatemill_train::events::Event::Sample(sample).write_line(&mut log);
        }
        std::fs::write(folder.path().join("events.jsonl"), log).unwrap();
        Stages::of(&History::read(folder.path()))
    }

    fn corpus(text: &str, vocab: VocabChoice) -> Corpus {
        let vocab = match vocab {
            VocabChoice::Chars => gatemill_corpus::VocabKind::Chars,
            VocabChoice::Bytes => gatemill_corpus::VocabKind::Bytes,
        };
        let options = OpenOptions { vocab, val_frac: 0.25, ..OpenOptions::default() };
        Corpus::from_bytes("t", text.as_bytes().to_vec(), &options).unwrap()
    }

    #[test]
    fn words_are_real_if_the_training_part_has_them_in_whatever_case() {
        // The last quarter, with "hidden" and "end", is for validation.
        let text = "The cat's mat, naïve물 on it. Dog-house; x1y ab\nhidden end, ";
        for vocab in [VocabChoice::Chars, VocabChoice::Bytes] {
            let mut found = stages(&["the CAT'S mad a I naïve물 dog houses hidden 12 on", "hidden on ", "a 1 ,,"]);
            assert_eq!(found.stages[0].share(), None);
            found.look_up(&corpus(text, vocab)).unwrap();
            let [first, second, third] = &found.stages[..] else { panic!("three samples") };
            // the, cat's, naïve물, dog are real; mad, houses, hidden are not; a, I too short; "on" may be cut.
            assert_eq!((first.words, first.real), (7, Some(4)), "{vocab:?}: {:?}", first.places);
            assert_eq!((second.words, second.real, second.share()), (2, Some(1), Some(0.5)));
            assert_eq!((third.words, third.share()), (0, None));
        }
    }

    #[test]
    fn a_word_across_two_pieces_of_the_text_is_found() {
        let text = "xx ".repeat(40_000) + "wondrous " + &"yy ".repeat(40_000);
        let mut found = stages(&["wondrous xx wond rous "]);
        found.look_up(&corpus(&text, VocabChoice::Bytes)).unwrap();
        assert_eq!((found.stages[0].words, found.stages[0].real), (4, Some(2)));
    }
}
