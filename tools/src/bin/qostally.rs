//! Counts addresses.

fn main() -> std::process::ExitCode {
    qos_tools::qostally::main()
}
