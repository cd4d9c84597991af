//! The `qsegment` command. The command line lives in the binary, so the compiler itself keeps the
//! library from using it.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
