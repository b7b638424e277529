//! The hand-written backward pass against exact differentiation, element by element.
//!
//! `exact` differentiates the forward text with dual numbers, one element at a time; `grid` walks over cells, layers
//! and features with sizes that differ pairwise, so that no transposition survives; `mutations` shows that a wrong
//! backward pass does not get by; `chunks` cuts runs in pieces; `linear` counts in integers over hundreds of steps;
//! `char_model` goes through the readout and the loss; `embedding` from a trained row per symbol, one that the readout
//! shares included; `task` through attention, pools, bridges, and whole tasks.

mod exact;

mod grid;

mod mutations;

mod chunks;

mod linear;

mod char_model;

mod embedding;

mod task;
