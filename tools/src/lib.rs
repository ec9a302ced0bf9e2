//! What the programs beside the module are made of. Each has a directory here and a file in `bin/`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod http;
pub mod qosctl;
pub mod qostally;
pub mod qslog;
