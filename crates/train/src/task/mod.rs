//! The kinds of RNN (lecture L2): sequences to classes, to classes in step, to sequences; a condition to a sequence.
//!
//! | kind | input | output | form |
//! |---|---|---|---|
//! | classify | symbols | a class | many to one |
//! | tag | symbols | a class of each | many to many, in step |
//! | translate | symbols | symbols | many to many, encoder to decoder, with or without attention |
//! | describe | a condition | symbols | one to many |
//! | map | numbers | a class | one to one |
//!
//! A model is input | stack | pool or bridge | head (design section 4). A batch is packed by falling length: nothing is
//! padded. The bits promise is that of the character model: the same configuration, seed and examples give the same
//! weights for any number of threads, on both FMA tiers, through any stop.
//!
//! ```no_run
//! use gatemill_train::task::{Alphabet, Example, Input, Symbols, TaskConfig, TaskKind, TaskTrainer};
//! use gatemill_crew::Crew;
//! use gatemill_kernels::Kernels;
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let alphabet = Alphabet { input: Symbols::of_texts(["abc"]), output: Symbols::of_names(["yes", "no"]) };
//! let examples = vec![Example { input: Input::Symbols(alphabet.input.encode("abba")), output: vec![1] }];
//! let crew = Arc::new(Crew::new(Crew::available())?);
//! let config = TaskConfig::new(TaskKind::Classify);
//! let mut trainer = TaskTrainer::new(&config, &alphabet, examples.clone(), crew, Kernels::best())?;
//! while !trainer.is_done() {
//!     trainer.step()?;
//! }
//! println!("{:?}", trainer.evaluate(&examples)?);
//! # Ok(())
//! # }
//! ```

mod config; // which kind, and what is particular to it

mod alphabet; // text to numbers and back

mod example; // what goes in and what is to come out

mod lanes; // examples packed; which come next

mod parts; // what a model is put together from

mod model; // its weights; as a file

mod bridge; // states of one stack to those of another

mod look; // attention of a decoder's lanes

mod pool; // rows of a sequence to one

mod passes; // forward and backward through the parts

mod evaluate; // losses, hits, scores

mod trainer; // a step over examples

mod predict; // classes, tags, and the options of all kinds

mod write; // a decoder's symbols, one after the other

mod beam; // several answers at once, the best of which is given

pub use alphabet::{Alphabet, Symbols};
pub use config::{Attention, Bridge, Pool, TaskConfig, TaskKind};
pub use evaluate::TaskScore;
pub use example::{Example, Input};
pub use model::TaskModel;
pub use predict::{PredictOptions, Prediction};
pub use trainer::{TaskEpoch, TaskStep, TaskTrainer};
