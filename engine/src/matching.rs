//! Regular expressions: what they mean, what they may cost, and what they put into values. And cookies,
//! which are found without one.
//!
//! A pattern is read as PCRE reads it, since that is what configurations were written for. Nearly all of
//! them run in time linear in the subject; only look-around, back references and the like need an engine
//! that tries, and that one has a budget. Spec: regex.md.

mod backtracking;
pub mod budget;
pub mod cookie;
mod dialect;
mod linear;
pub mod pattern;
pub mod prefixes;
pub mod template;
pub mod uri;
