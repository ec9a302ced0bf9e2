//! The shared segment: made once for the life of the server, found again by each configuration, and
//! cast to the engine's rows at one place.

pub mod child;
pub mod map;
pub mod segment;
