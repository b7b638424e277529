//! Sampling: the predicted symbol becomes the next input, the state is carried (lecture L4).
//!
//! ```text
//! prime -> ids -> all lanes read them, many steps at a time
//! until done, for each lane: logits -> draw (choose.rs) -> id -> forward by one step -> logits
//! ```
//!
//! A text is a function of (weights, prime, options, seed): each draw takes its number from (seed, sample, position).
//! Several texts are lanes beside each other, shared out among the workers; a lane neither sees the others nor how many
//! there are, so sample i is what it would be alone. Where texts stand can be saved and continued (state.rs).

pub(crate) mod choose; // one draw
mod state; // where texts stand, as a file

use crate::config::ConfigError;
use crate::error::TrainError;
use crate::model::CharModel;
use choose::{Chooser, Filters, Recent, Unusable};
use gatemill_cell::{Chunk, LayerState, Network, NetworkOptions};
use gatemill_corpus::VocabKind;
use gatemill_crew::{Crew, Split};
use gatemill_kernels::{Kernels, Purpose, uniform};

pub use state::{SampleState, StateError};

/// Which numbers sample 0 takes; sample i takes those of `STREAM + i`. Texts that share seed and sample share them.
const STREAM: u32 = 1;
/// A prime is read in chunks of this many tokens, all lanes together: a guess, beyond which nothing is gained.
const CHUNK_TOKENS: usize = 64;
/// Symbols that [`Generator::texts`] asks for at once: workers meet once in so many.
const AT_ONCE: usize = 64;
/// At most this many of a prime's unseen symbols are named.
const NAMED_UNSEEN: usize = 8;

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleOptions {
    /// Read before the first symbol is drawn; symbols that the model never saw are read as nothing. UTF-8 for `chars`.
    pub prime: Vec<u8>,
    /// Symbols to write.
    pub length: u64,
    /// Logits are divided by it; 0 takes the most likely symbol, ties to the lowest id.
    pub temperature: f64,
    /// Draw from this many of the most likely symbols; 0, or V and more: from all.
    pub top_k: usize,
    /// Draw from the fewest of the most likely symbols that have this probability together; 1: from all.
    pub top_p: f64,
    /// Leave out symbols whose probability is less than this times the largest one; 0: none.
    pub min_p: f64,
    /// Positive logits of the last symbols are divided by it, negative ones multiplied; 1: off.
    pub repetition_penalty: f64,
    /// How many of the last symbols, read or drawn, the penalty is for.
    pub repetition_window: usize,
    /// Texts to write beside each other.
    pub samples: usize,
    /// Number of the first text: sample i of a seed is the same whichever others are written beside it.
    pub first_sample: u32,
    /// Of the draws.
    pub seed: u64,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            prime: Vec::new(),
            length: 500,
            temperature: 0.8,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window: 64,
            samples: 1,
            first_sample: 0,
            seed: 1,
        }
    }
}

impl SampleOptions {
    /// Checks every value. Errors: the first that cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok: bool, flag: &'static str, value: &dyn ToString, reason: &'static str| {
            if ok { Ok(()) } else { Err(ConfigError { flag, value: value.to_string(), reason }) }
        };
        let Self { temperature, top_p, min_p, repetition_penalty, samples, .. } = self;
        let from_zero = *temperature >= 0.0 && temperature.is_finite();
        check(from_zero, "temperature", temperature, "must be 0 or a positive number")?;
        check(*top_p > 0.0 && *top_p <= 1.0, "top-p", top_p, "must be above 0 and at most 1")?;
        check((0.0..=1.0).contains(min_p), "min-p", min_p, "must be from 0 to 1")?;
        let positive = *repetition_penalty > 0.0 && repetition_penalty.is_finite();
        check(positive, "repetition-penalty", repetition_penalty, "must be a positive number")?;
        check(*samples > 0, "samples", samples, "must be at least 1")
    }
}

/// One text in the making.
#[derive(Debug)]
struct Lane {
    stream: u32,
    recent: Recent,
    /// Symbols of the last call of `advance`.
    drawn: Vec<u32>,
}

/// Lanes that one worker steps together.
#[derive(Debug)]
struct Group {
    /// One step.
    network: Network,
    lanes: Vec<Lane>,
    /// `[B]`: the symbols to be read next.
    ids: Vec<u32>,
    /// `[B, V]`: what the next symbols are drawn from.
    logits: Vec<f32>,
    chooser: Chooser,
    /// The sample and draw that found no symbol, and why.
    failed: Option<(u32, u64, Unusable)>,
}

/// Writes texts, one symbol after the other in each.
#[derive(Debug)]
pub struct Generator<'a> {
    model: &'a CharModel,
    crew: &'a Crew,
    kernels: &'a Kernels,
    groups: Vec<Group>,
    seed: u64,
    first_sample: u32,
    position: u64,
    left: u64,
    unseen: u64,
    unseen_symbols: Vec<char>,
}

impl<'a> Generator<'a> {
    /// Reads the prime. An empty one begins as after a line's end. Errors: options that cannot be; no memory; a prime
    /// that is no UTF-8.
    pub fn new(
        model: &'a CharModel,
        options: &SampleOptions,
        crew: &'a Crew,
        kernels: &'a Kernels,
    ) -> Result<Self, TrainError> {
        options.validate()?;
        let state = SampleState {
            weights_sha256: String::new(),
            position: 0,
            seed: options.seed,
            first_sample: options.first_sample,
            lanes: 1,
            layers: network(model, 1, 1, Split::Alone)?.state(),
            logits: Vec::new(),
            recent: vec![Vec::new()],
        };
        Self::start(model, options, state, crew, kernels)
    }

    /// Goes on from where texts stand; the prime is read after them, and an empty one is none. A state of one text goes on
    /// as `samples` texts. The seed is `options.seed`: give the state's own to write what would have been written without
    /// the stop.
    ///
    /// Errors: as `new`; a state of another model; `samples` that are neither the state's texts nor made of one.
    pub fn resume(
        model: &'a CharModel,
        options: &SampleOptions,
        state: &SampleState,
        crew: &'a Crew,
        kernels: &'a Kernels,
    ) -> Result<Self, TrainError> {
        options.validate()?;
        state.check(&model.weights_sha256(), &network(model, 1, 1, Split::Alone)?.state(), model.vocab.len())?;
        if state.lanes != 1 && state.lanes != options.samples {
            let reason = "cannot be: the state is of another number of texts, and only a single one can be continued in several ways";
            return Err(ConfigError { flag: "samples", value: options.samples.to_string(), reason }.into());
        }
        Self::start(model, options, state.clone(), crew, kernels)
    }

    /// Reads the prime on top of `state`, then gives each worker its lanes.
    fn start(
        model: &'a CharModel,
        options: &SampleOptions,
        mut state: SampleState,
        crew: &'a Crew,
        kernels: &'a Kernels,
    ) -> Result<Self, TrainError> {
        let vocab = model.vocab.len();
        let mut recent: Vec<Recent> = state
            .recent
            .iter()
            .map(|ids| {
                let mut recent = Recent::new(options.repetition_window, vocab);
                ids.iter().for_each(|&id| recent.push(id));
                recent
            })
            .collect();
        let ids = model.vocab.encode(&options.prime)?;
        for recent in &mut recent {
            ids.iter().for_each(|&id| recent.push(id));
        }
        if !ids.is_empty() {
            read(model, &mut state, &ids, (crew, kernels))?;
        } else if state.logits.is_empty() {
            read(model, &mut state, &model.vocab.encode(b"\n")?, (crew, kernels))?;
        }
        let (unseen, unseen_symbols) = unseen(model, &options.prime, &ids);

        // Few texts of a large model: all workers share its units. Else each worker takes its lanes through many symbols
        // with no meeting point.
        let samples = options.samples;
        let suited = Split::suited(samples, crew.threads(), 4 * model.params.layout().params());
        let (workers, split) = match suited {
            Split::Units => (1, Split::Units),
            _ => (crew.threads().clamp(1, samples), Split::Alone),
        };
        let mut groups = Vec::with_capacity(workers);
        for worker in 0..workers {
            let lanes = samples * worker / workers..samples * (worker + 1) / workers;
            let mut network = network(model, 1, lanes.len(), split)?;
            let of = |lane: usize| if state.lanes == 1 { 0 } else { lane };
            let rows = |data: &[f32]| -> Vec<f32> {
                let width = data.len() / state.lanes;
                lanes.clone().flat_map(|lane| &data[of(lane) * width..][..width]).copied().collect()
            };
            let layers: Vec<LayerState> =
                state.layers.iter().map(|l| LayerState { h: rows(&l.h), c: l.c.as_deref().map(rows) }).collect();
            network.set_state(&layers);
            groups.push(Group {
                network,
                ids: vec![0; lanes.len()],
                logits: rows(&state.logits),
                chooser: Chooser::new(Filters::from(options), vocab),
                failed: None,
                lanes: lanes
                    .map(|lane| Lane {
                        stream: STREAM.wrapping_add(state.first_sample).wrapping_add(lane as u32),
                        recent: recent[of(lane)].clone(),
                        drawn: Vec::new(),
                    })
                    .collect(),
            });
        }
        Ok(Self {
            model,
            crew,
            kernels,
            groups,
            seed: options.seed,
            first_sample: state.first_sample,
            position: state.position,
            left: options.length,
            unseen,
            unseen_symbols,
        })
    }

    /// Symbols of the prime that the model never saw.
    pub fn unseen(&self) -> u64 {
        self.unseen
    }
    /// Which they are: the first few, each once.
    pub fn unseen_symbols(&self) -> &[char] {
        &self.unseen_symbols
    }
    /// Texts.
    pub fn samples(&self) -> usize {
        self.groups.iter().map(|group| group.lanes.len()).sum()
    }

    /// Draws up to `symbols` further symbols of each text; returns how many, 0 after `length`. They are
    /// [`Generator::drawn`]. Errors: logits from which nothing can be drawn.
    pub fn advance(&mut self, symbols: usize) -> Result<usize, TrainError> {
        let symbols = usize::try_from(self.left).unwrap_or(usize::MAX).min(symbols);
        let Self { model, crew, kernels, seed, position, .. } = *self;
        let borders: Vec<usize> = (0..=self.groups.len()).collect();
        crew.tiles(&mut self.groups, &borders, |_, groups| {
            for group in groups {
                group.advance(model, (crew, kernels), (seed, position, symbols));
            }
        });
        if let Some((stream, position, why)) = self.groups.iter().find_map(|group| group.failed) {
            let sample = stream.wrapping_sub(STREAM);
            let what = match why {
                Unusable::NotFinite(id) => format!("the logit of {} is not finite", self.name(id)),
                Unusable::NothingLeft => "every symbol has probability 0".to_owned(),
            };
            return Err(TrainError::Logits { sample, position, what });
        }
        self.position = position.wrapping_add(symbols as u64);
        self.left -= symbols as u64;
        Ok(symbols)
    }
    /// What the last [`Generator::advance`] drew for a text, from 0. Panics beyond the last text.
    pub fn drawn(&self, text: usize) -> &[u32] {
        let mut lanes = self.groups.iter().flat_map(|group| &group.lanes);
        &lanes.nth(text).expect("a text").drawn
    }
    /// All that is left of each text, primes not included, as bytes (UTF-8 for `chars`).
    pub fn texts(mut self) -> Result<Vec<Vec<u8>>, TrainError> {
        let mut texts = vec![Vec::new(); self.samples()];
        while self.advance(AT_ONCE)? > 0 {
            for (i, text) in texts.iter_mut().enumerate() {
                text.extend(self.model.vocab.decode(self.drawn(i)));
            }
        }
        Ok(texts)
    }

    /// Where the texts stand, after the last symbol drawn.
    pub fn state(&self) -> SampleState {
        let mut layers: Vec<LayerState> = Vec::new();
        for group in &self.groups {
            for (l, of_group) in group.network.state().into_iter().enumerate() {
                match layers.get_mut(l) {
                    None => layers.push(of_group),
                    Some(all) => {
                        all.h.extend(of_group.h);
                        all.c.iter_mut().zip(of_group.c).for_each(|(all, c)| all.extend(c));
                    }
                }
            }
        }
        let lanes = || self.groups.iter().flat_map(|group| &group.lanes);
        SampleState {
            weights_sha256: self.model.weights_sha256(),
            position: self.position,
            seed: self.seed,
            first_sample: self.first_sample,
            lanes: self.samples(),
            layers,
            logits: self.groups.iter().flat_map(|group| &group.logits).copied().collect(),
            recent: lanes().map(|lane| lane.recent.ids().collect()).collect(),
        }
    }

    /// A symbol in words.
    fn name(&self, id: u32) -> String {
        match (self.model.vocab.kind(), self.model.vocab.symbols().get(id as usize)) {
            (VocabKind::Chars, Some(&code)) => format!("{:?}", char::from_u32(code).unwrap_or_default()),
            (_, code) => format!("byte {}", code.copied().unwrap_or(id)),
        }
    }
}

impl Group {
    fn advance(
        &mut self,
        model: &CharModel,
        (crew, kernels): (&Crew, &Kernels),
        (seed, position, symbols): (u64, u64, usize),
    ) {
        let vocab = model.vocab.len();
        self.lanes.iter_mut().for_each(|lane| lane.drawn.clear());
        for position in (0..symbols as u64).map(|i| position.wrapping_add(i)) {
            for (i, lane) in self.lanes.iter_mut().enumerate() {
                let number = || uniform(seed, Purpose::Sample, lane.stream, position);
                match self.chooser.choose(&self.logits[i * vocab..][..vocab], &lane.recent, number) {
                    Ok(id) => self.ids[i] = id,
                    Err(why) => return self.failed = Some((lane.stream, position, why)),
                }
                lane.recent.push(self.ids[i]);
                lane.drawn.push(self.ids[i]);
            }
            let chunk = Chunk { steps: 1, ids: &self.ids, ..Chunk::default() };
            self.network.forward(crew, kernels, &model.params, &chunk);
            self.network.carry(1);
            for (i, logits) in self.logits.chunks_mut(vocab).enumerate() {
                logits.copy_from_slice(self.network.logits(0, i));
            }
        }
    }
}

/// A forward-only network.
fn network(model: &CharModel, steps: usize, lanes: usize, split: Split) -> Result<Network, TrainError> {
    let split = Some(split);
    let options = NetworkOptions { steps, lanes, split, ..NetworkOptions::default() };
    Ok(Network::new(model.params.layout(), options)?)
}

/// All lanes of the state read the same symbols, in chunks of many steps. The bits are those of one step at a time.
fn read(
    model: &CharModel,
    state: &mut SampleState,
    ids: &[u32],
    (crew, kernels): (&Crew, &Kernels),
) -> Result<(), TrainError> {
    let lanes = state.lanes;
    let most = (CHUNK_TOKENS / lanes).clamp(1, ids.len());
    let mut network = network(model, most, lanes, Split::Lanes)?;
    network.set_state(&state.layers);
    // `[T, B]`; a short last chunk uses the first steps of it.
    let mut chunk = vec![0; most * lanes];
    let mut last = 0;
    for part in ids.chunks(most) {
        for (row, &id) in chunk.chunks_mut(lanes).zip(part) {
            row.fill(id);
        }
        last = part.len();
        let chunk = Chunk { steps: last, ids: &chunk, ..Chunk::default() };
        network.forward(crew, kernels, &model.params, &chunk);
        network.carry(last);
    }
    state.layers = network.state();
    state.logits = (0..lanes).flat_map(|lane| network.logits(last - 1, lane)).copied().collect();
    Ok(())
}

/// How many symbols of the prime the model never saw, and the first few of them, each once.
fn unseen(model: &CharModel, prime: &[u8], ids: &[u32]) -> (u64, Vec<char>) {
    let count = ids.iter().filter(|&&id| id == model.vocab.unseen()).count() as u64;
    let mut named = Vec::new();
    // Bytes are all known: what is unseen is a character.
    if let (true, Ok(text)) = (count > 0, std::str::from_utf8(prime)) {
        for (c, _) in text.chars().zip(ids).filter(|(_, id)| **id == model.vocab.unseen()) {
            if named.len() < NAMED_UNSEEN && !named.contains(&c) {
                named.push(c);
            }
        }
    }
    (count, named)
}

/// A whole text, the prime not included, as bytes (UTF-8 for `chars`); of several the first.
pub(crate) fn text(
    model: &CharModel,
    options: &SampleOptions,
    crew: &Crew,
    kernels: &Kernels,
) -> Result<Vec<u8>, TrainError> {
    let texts = Generator::new(model, options, crew, kernels)?.texts()?;
    Ok(texts.into_iter().next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
