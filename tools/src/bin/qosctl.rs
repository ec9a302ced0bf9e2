//! Asks and commands a running server.

fn main() -> std::process::ExitCode {
    qos_tools::qosctl::main()
}
