//! Checkpoints under every fault of the catalogue: files from strangers, failing disks, kills, power losses.

#![allow(non_snake_case, reason = "fault tests carry the ids of the fault catalogue")]

mod faults;
mod fetched;
mod form;
mod load;
mod model;
mod power_loss;
mod real_disk;
mod scenario;
mod strangers;
