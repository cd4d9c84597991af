//! `qsegment token`: a new token for the page.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qsegment::outputs::web::Token;
use serde::Serialize;

use super::out::Out;
use super::{Failure, Form};

/// Make a token for the page, in a new file that only its owner can read
///
/// 256 random bits. Name the file in web.token_file (--token-file); it is read when the daemon starts. Whoever is to
/// see the page gets its one line: a browser asks for it, programs send it as `Authorization: Bearer TOKEN`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The file; it must not be there yet
    file: PathBuf,
}

pub(crate) fn token(args: &TokenArgs, form: Form, out: &mut Out) -> Result<ExitCode, Failure> {
    Token::create(&args.file)?;
    let file = args.file.display();
    match form {
        Form::Text => out.line(format_args!(
            "{file}: a new token, which only you can read\n\
             the page with it: qsegment run --listen 0.0.0.0:8500 --token-file {file}"
        ))?,
        Form::Json => out.json(&Made { version: 1, file: &args.file })?,
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Made<'a> {
    version: u32,
    file: &'a Path,
}
