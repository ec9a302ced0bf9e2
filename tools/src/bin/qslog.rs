//! Request statistics from access logs.

fn main() -> std::process::ExitCode {
    qos_tools::qslog::main()
}
