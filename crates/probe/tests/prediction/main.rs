//! Predictions compared with the crate's own workers, on paused time, for generated probe settings.
//!
//! For each setting and prediction, observed times stay within the predicted range and reach both ends of it. Seeded runs have
//! random phases; aimed runs place ticks, pod syncs and faults where the prediction has its ends.

mod app;
mod coverage;
mod faults;
mod first_attempt;
mod host;
mod kubelet_restart;
mod phases;
mod recovery;
mod restart;
mod settings;
mod start;
mod survival;
