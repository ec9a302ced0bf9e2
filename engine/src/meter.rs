//! How counting works: the arithmetic of one atomic word, without knowing what is counted.

pub mod concurrency;
pub mod pace;
pub mod progress;
pub mod rate;
pub mod window;
