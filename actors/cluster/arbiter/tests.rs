//! Arbiters of several nodes with a broker in memory: rules one by one, and random schedules.

mod cluster;
mod members;
mod namesakes;
mod node;
mod refusals;
mod rules;
mod schedules;
