//! Complete layers: the hand-written backward pass against exact differentiation, and what each variant must equal.
//!
//! `grid` walks over cells, variants, directions, lengths, residuals and dropout with sizes that differ pairwise;
//! `identities` ties every form to one that is known already; `mutations` shows that a wrong backward pass is found.

mod exact;

mod grid;

mod identities;

mod mutations;
