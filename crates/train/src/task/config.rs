//! What a task's model is and how it is trained: the kind, what is particular to it, and the configuration of a run.

use crate::config::{Config, ConfigError};
use gatemill_cell::{Direction, StackShape};
use serde::{Deserialize, Serialize};

/// The kinds of RNN (lecture L2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Many to one: a class of a sequence.
    Classify,
    /// Many to many, in step: a class of each symbol.
    Tag,
    /// Many to many, encoder to decoder: a sequence for a sequence.
    Translate,
    /// One to many: a sequence for a condition.
    Describe,
    /// One to one: a class of some numbers, the degenerate case of one step.
    Map,
}

impl TaskKind {
    /// All of them, in the order of the lecture's forms.
    pub const ALL: [Self; 5] = [Self::Map, Self::Describe, Self::Classify, Self::Translate, Self::Tag];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Tag => "tag",
            Self::Translate => "translate",
            Self::Describe => "describe",
            Self::Map => "map",
        }
    }
    /// It writes a sequence, symbol after symbol, until a mark of its own says that it is whole.
    pub fn decodes(self) -> bool {
        matches!(self, Self::Translate | Self::Describe)
    }
}

/// What a classifier's head reads of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The top level's final states; of two directions each one's own last.
    #[default]
    Last,
    /// The mean over the sequence.
    Mean,
    /// The largest over the sequence, unit by unit; of equal ones the first.
    Max,
}

/// How a decoder looks back at its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attention {
    /// It does not: what the bridge carries is all it knows.
    #[default]
    None,
    /// score = h_t . e_s; encoder and decoder rows are then equally wide.
    Dot,
    /// score = h_t . W_a e_s.
    General,
}

/// How the final states of an encoder become the initial states of the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bridge {
    /// Layer by layer as they are; of two directions their mean.
    #[default]
    Copy,
    /// A linear map from all of them to all of those.
    Linear,
}

/// The effective configuration of a task's model and its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TaskConfig {
    /// Which kind.
    pub kind: TaskKind,
    /// classify, tag and the encoder of translate: both directions, side by side.
    #[serde(default)]
    pub bidirectional: bool,
    /// classify: what the head reads.
    #[serde(default)]
    pub pool: Pool,
    /// translate: how the decoder looks back.
    #[serde(default)]
    pub attention: Attention,
    /// translate: what the decoder starts from. A description's condition always comes over a linear bridge.
    #[serde(default)]
    pub bridge: Bridge,
    /// Cell, sizes, optimiser, schedule, start and seed, as of a character model. `batch` counts examples; `seq`,
    /// `eval-tokens` and what goes by text and its state have no meaning here.
    #[serde(default)]
    pub base: Config,
}

/// Most layers of a task's model: the counter of the dropout masks tells apart so many, of two directions, and the head.
const MAX_LAYERS: usize = 1 << 10;
/// Most examples of a batch, by the same counter.
pub(crate) const MAX_BATCH: usize = 1 << 19;

impl TaskConfig {
    /// A model of this kind, one direction, no attention, with the defaults of a run and 64 examples a batch.
    pub fn new(kind: TaskKind) -> Self {
        let (bidirectional, pool, attention, bridge) = Default::default();
        Self { kind, bidirectional, pool, attention, bridge, base: Config::default() }
    }
    /// Checks every value by itself, and those that go together. Errors: the first flag whose value cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.base.validate()?;
        let Self { kind, bidirectional, pool, attention, bridge, base } = self;
        let check = |ok: bool, flag: &'static str, value: &dyn std::fmt::Debug, reason: &'static str| {
            if ok { Ok(()) } else { Err(ConfigError { flag, value: format!("{value:?}").to_lowercase(), reason }) }
        };
        let translates = *kind == TaskKind::Translate;
        let both = "is for classify, tag and translate: a sequence that is read, and read whole";
        let reads = matches!(kind, TaskKind::Classify | TaskKind::Tag | TaskKind::Translate);
        check(!bidirectional || reads, "bidirectional", bidirectional, both)?;
        check(*pool == Pool::Last || *kind == TaskKind::Classify, "pool", pool, "is for classify alone")?;
        check(*attention == Attention::None || translates, "attention", attention, "is for translate alone")?;
        check(*bridge == Bridge::Copy || translates, "bridge", bridge, "is for translate alone")?;
        let wide = "needs encoder and decoder rows of one width: use general with --bidirectional";
        check(*attention != Attention::Dot || !bidirectional, "attention", attention, wide)?;
        check(base.layers <= MAX_LAYERS, "layers", &base.layers, "must be at most 1024")?;
        check(base.batch <= MAX_BATCH, "batch", &base.batch, "must be at most 2^19")?;
        let one = "must be 1 for a task: a batch is whatever its examples are long";
        check(base.accumulate == 1, "accumulate", &base.accumulate, one)?;
        check(base.shards == 1, "shards", &base.shards, one)?;
        let text = "is of a character model: a task's input and output are apart";
        check(!base.tied, "tied", &base.tied, text)?;
        check(base.document_separator.is_none(), "document-separator", &base.document_separator, text)
    }
    /// D: directions of the stack that reads.
    pub(crate) fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }
    /// Columns of a row of the stack that reads.
    pub(crate) fn width(&self) -> usize {
        self.directions() * self.base.hidden
    }
    /// A stack over symbols (`vocab`, with the run's embedding) or numbers.
    pub(crate) fn stack(&self, symbols: Option<usize>, numbers: usize, bidirectional: bool) -> StackShape {
        let base = &self.base;
        let inputs = if symbols.is_some() { base.embed } else { numbers };
        let direction = if bidirectional { Direction::Concat } else { Direction::Forward };
        StackShape { symbols, direction, ..StackShape::new(base.cell.into(), inputs, base.hidden, base.layers) }
    }
}
