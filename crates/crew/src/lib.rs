//! Who does what: the pool, lane blocks, tiles and the unit split with its barrier.
