//! Whom we count: addresses and their countries, the two kinds of identity, and lists of the exempt.

pub mod address;
pub mod countries;
pub mod exempt;
pub mod identity;
mod md5;
pub mod target;
