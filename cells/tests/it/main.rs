//! Sessions with a real engine: what holds however things interleave.

#![allow(missing_docs, clippy::unwrap_used)]

mod budgets;
mod desk;
mod discovery;
mod ends;
mod life;
mod limits;
mod notifications;
mod observer;
mod results;
mod steps;
mod stored;
mod stress;
mod support;
