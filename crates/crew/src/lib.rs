//! Who does what: the pool, lane blocks, tiles, and the unit split with its barrier.
//!
//! Kernels are single-threaded and a cell works on the share it is given; the loops over workers stand here. Work is cut
//! by the problem (lanes, panels, tiles), and no sum runs over workers, so bits do not depend on their number.

mod fork; // one piece of work for every worker, and workers that stand by in between
mod host; // a host's threads in place of the pool's
mod pool; // the rayon pool, built by the caller
mod wait; // spinning, then yielding

mod lanes; // each worker takes lanes through the whole pass
mod units; // a team shares the hidden units of every step

mod tiles; // outputs cut into pieces, each with one owner

mod peak; // what the machine gives at most

pub use host::Host;
pub use pool::{Crew, CrewError};
pub use tiles::Stretches;
pub use units::Split;
