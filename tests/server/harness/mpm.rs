//! The three processing models of httpd, and the macros that run a test on each of them.

/// A multi-processing module of httpd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mpm {
    Prefork,
    Worker,
    Event,
}

impl Mpm {
    pub fn name(self) -> &'static str {
        match self {
            Mpm::Prefork => "prefork",
            Mpm::Worker => "worker",
            Mpm::Event => "event",
        }
    }
}

/// Runs the named functions, each `fn(Mpm)`, as tests on prefork, worker and event. The functions
/// stand outside so that rustfmt sees them; one that is missing from the list is dead code, which
/// the compiler reports. Once per file.
macro_rules! on_each_mpm {
    ($($test:ident),* $(,)?) => {
        mod prefork { $(#[test] fn $test() { super::$test($crate::harness::Mpm::Prefork) })* }
        mod worker { $(#[test] fn $test() { super::$test($crate::harness::Mpm::Worker) })* }
        mod event { $(#[test] fn $test() { super::$test($crate::harness::Mpm::Event) })* }
    };
}

/// Like `on_each_mpm!`, for what prefork cannot do: mod_http2 refuses to work there.
macro_rules! on_threaded_mpms {
    ($($test:ident),* $(,)?) => {
        mod worker { $(#[test] fn $test() { super::$test($crate::harness::Mpm::Worker) })* }
        mod event { $(#[test] fn $test() { super::$test($crate::harness::Mpm::Event) })* }
    };
}
