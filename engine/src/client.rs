//! Whom we count: addresses, the two kinds of identity, and lists of the exempt.

pub mod address;
pub mod exempt;
pub mod identity;
