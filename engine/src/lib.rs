//! The rules of mod_qos_rs, and nothing else: who may connect, who is refused, and what is written about it.
//!
//! The engine is given the time and the memory and decides. It knows no httpd, no clock, no file, no
//! thread and no `unsafe`; the crate around it turns httpd's callbacks into calls of [`phases`].
//!
//! From general to particular: [`phases`] is the order of everything, [`rules`] holds one file per family
//! of directives, [`store`] is where counters live, [`meter`] how counting works, [`client`] whom we
//! count, and the rest are the words that all of them use.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod assignment;
pub mod atomic;
pub mod client;
pub mod console;
pub mod context;
pub mod directive;
pub mod lasting;
pub mod log_event;
pub mod matching;
pub mod meter;
pub mod phases;
pub mod report;
pub mod rules;
pub mod sealed_cookie;
pub mod store;
#[cfg(test)]
#[cfg(not(loom))]
#[allow(dead_code)] // one tool box for the tests of all families
mod testing;
pub mod time;
pub mod values;
pub mod verdict;
pub mod waiting;
