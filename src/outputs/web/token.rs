//! The token that opens the page to other machines: one line in a file that only its owner can read.
//!
//! Kept in memory is its hash, not the token. Browsers get a cookie made from it by another hash: whoever finds the
//! cookie on a disk or in a proxy's log can look at the page, but has not learnt the token, and a new token ends
//! every cookie.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a client must know. Comparing takes the same time whatever is given.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    digest: [u8; 32],
    cookie: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Reads the file. Its first and only line is the token; what ends the line does not count.
    ///
    /// Only the owner may read it. The exception is the group of root, which can read it anyway: a credential that
    /// systemd hands to a service (`LoadCredential=`) belongs to root and is opened to the service by an access list,
    /// which the mode shows as a group that may read.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let path = path.to_owned();
        let text = match text_of(&path) {
            Ok(Found::Text(text)) => text,
            Ok(Found::Open { mode }) => return Err(TokenError::Open { path, mode }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(TokenError::Missing(path));
            }
            Err(error) => return Err(TokenError::Read { path, cause: error.to_string() }),
        };
        let token = text.strip_suffix(b"\n").unwrap_or(&text);
        let token = token.strip_suffix(b"\r").unwrap_or(token);
        if let Some(at) = token.iter().position(|byte| !can_stand_in_a_header(*byte)) {
            return Err(TokenError::Character { path, byte: token[at], at: at + 1 });
        }
        if token.len() < LEAST_LEN_BYTES {
            return Err(TokenError::Short { path, len: token.len() });
        }
        Ok(Self::of(token))
    }

    /// Makes a file with a new token, which only its owner can read. Never over a file that is there.
    pub fn create(path: &Path) -> Result<(), TokenError> {
        let refused = |cause: String| TokenError::Create { path: path.to_owned(), cause };
        let mut random = [0; NEW_LEN_BYTES];
        SysRng.try_fill_bytes(&mut random).map_err(|error| refused(error.to_string()))?;
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
        {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(TokenError::Exists(path.to_owned()));
            }
            Err(error) => return Err(refused(error.to_string())),
        };
        writeln!(file, "{}", hex(&random))
            .and_then(|()| file.sync_all())
            .map_err(|error| refused(error.to_string()))
    }

    fn of(token: &[u8]) -> Self {
        let digest = Sha256::digest(token).into();
        let cookie = Sha256::new().chain_update(COOKIE_LABEL).chain_update(token).finalize();
        Self { digest, cookie: hex(&cookie) }
    }

    /// Whether this is it. Hashes are compared, so that not even the length shows in the time.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        self.digest.ct_eq(&<[u8; 32]>::from(Sha256::digest(given))).into()
    }

    /// What a browser keeps instead of the token.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Whether this is the cookie that belongs to it.
    pub(super) fn is_cookie(&self, given: &[u8]) -> bool {
        self.cookie.as_bytes().ct_eq(given).into()
    }
}

/// Why there is no token: the file, what is wrong with it, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no such file.
    #[error("{0} is not there; `qsegment token {0}` makes it")]
    Missing(PathBuf),
    /// The system does not let it be read.
    #[error(
        "cannot read {path}: {cause}; it must be a file that the user of this process may read"
    )]
    Read {
        /// As given.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Not only its owner can read it.
    #[error(
        "{path} has mode {mode:04o}: others than its owner may use it; `chmod 600 {path}`, then a new token if \
             strangers were there"
    )]
    Open {
        /// As given.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It could be guessed.
    #[error(
        "the token in {path} has {len} characters, want {LEAST_LEN_BYTES} or more; remove the file, and \
         `qsegment token {path}` makes one of 64"
    )]
    Short {
        /// As given.
        path: PathBuf,
        /// Characters in its line.
        len: usize,
    },
    /// It could not be sent.
    #[error(
        "the token in {path} has byte {byte:#04x} at place {at}; want one line of letters, digits and -._~+/=, \
         which can be sent in a header"
    )]
    Character {
        /// As given.
        path: PathBuf,
        /// What is there.
        byte: u8,
        /// Counted from 1.
        at: usize,
    },
    /// There is a file already.
    #[error(
        "{0} is there already, and a token is never written over another file; give another name or remove it"
    )]
    Exists(PathBuf),
    /// A new one cannot be written.
    #[error(
        "cannot make {path}: {cause}; give a file in a folder that is there and can be written"
    )]
    Create {
        /// As given.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
}

enum Found {
    Text(Vec<u8>),
    Open { mode: u32 },
}

fn text_of(path: &Path) -> std::io::Result<Found> {
    // Before it is opened: opening a pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mode = metadata.mode() & 0o777;
    let allowed = if metadata.gid() == ROOT { 0o740 } else { 0o700 };
    if mode & !allowed != 0 {
        return Ok(Found::Open { mode });
    }
    let mut text = Vec::new();
    file.take(MOST_LEN_BYTES).read_to_end(&mut text)?;
    Ok(Found::Text(text))
}

/// The characters of a bearer token (RFC 6750, section 2.1).
fn can_stand_in_a_header(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sixteen random characters of 64 are 96 bits; at 64 guesses a second, which is all that the delay after a wrong one
/// leaves, half of them last longer than the universe has.
const LEAST_LEN_BYTES: usize = 16;
/// As much as SHA-256 can tell apart.
const NEW_LEN_BYTES: usize = 32;
/// A longer line would not fit into the head of a request beside the rest.
const MOST_LEN_BYTES: u64 = 1024;
const COOKIE_LABEL: &[u8] = b"qsegment cookie 1\0";
const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn written(dir: &tempfile::TempDir, text: &[u8], mode: u32) -> PathBuf {
        let path = dir.path().join("token");
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn refusal(text: &[u8], mode: u32) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = written(&dir, text, mode);
        let said = Token::read(&path).unwrap_err().to_string();
        said.replace(path.to_str().unwrap(), "FILE")
    }

    #[test]
    fn what_was_made_can_be_read_and_is_never_made_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        Token::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 65);
        let token = Token::read(&path).unwrap();
        assert!(token.is(text.trim_end().as_bytes()));
        assert!(!token.is(text.as_bytes()), "the end of the line is no part of it");
        assert_eq!(Token::create(&path), Err(TokenError::Exists(path.clone())));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let other = dir.path().join("other");
        Token::create(&other).unwrap();
        assert_ne!(Token::read(&other).unwrap(), token);
    }

    #[test]
    fn the_cookie_opens_and_does_not_tell_the_token() {
        let token = Token::of(b"0123456789abcdef");
        assert!(token.is_cookie(token.cookie().as_bytes()));
        // printf 'qsegment cookie 1\0000123456789abcdef' | sha256sum
        let wanted = "4f2c90408aa36a95f8cd732b6d31284fe73a5e5722fcb9041f52d700656668f4";
        assert_eq!(token.cookie(), wanted);
        assert!(!token.is(token.cookie().as_bytes()) && !token.is_cookie(b"0123456789abcdef"));
        assert!(!token.is_cookie(b"") && !token.is(b""));
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn refuses_a_file_that_others_may_use() {
        let text = b"0123456789abcdef\n";
        for mode in [0o604, 0o602, 0o644, 0o660, 0o620] {
            let said = refusal(text, mode);
            assert!(said.starts_with(&format!("FILE has mode {mode:04o}: ")), "{said}");
            assert!(said.contains("`chmod 600 FILE`"), "{said}");
        }
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o400] {
            assert!(Token::read(&written(&dir, text, mode)).is_ok(), "{mode:o}");
        }
        let path = written(&dir, text, 0o440);
        let is_roots = fs::metadata(&path).unwrap().gid() == ROOT;
        assert_eq!(Token::read(&path).is_ok(), is_roots, "systemd's access list shows as 0440");
    }

    #[test]
    fn refuses_what_could_be_guessed_or_not_be_sent() {
        assert!(refusal(b"", 0o600).starts_with("the token in FILE has 0 characters, want 16"));
        assert!(refusal(b"0123456789abcde\n", 0o600).contains("has 15 characters"));
        let spaced = refusal(b"0123456789 abcdef\n", 0o600);
        assert!(spaced.starts_with("the token in FILE has byte 0x20 at place 11;"), "{spaced}");
        assert!(refusal(b"0123456789abcdef\nmore\n", 0o600).contains("byte 0x0a at place 17"));
        assert!(refusal(&[0xff; 20], 0o600).contains("byte 0xff at place 1"));
        let dir = tempfile::tempdir().unwrap();
        let said = Token::read(dir.path()).unwrap_err().to_string();
        assert!(said.contains("it is no file"), "{said}");
        let missing = dir.path().join("nothing");
        assert_eq!(Token::read(&missing), Err(TokenError::Missing(missing.clone())));
        for text in [&b"0123456789abcdef"[..], b"0123456789abcdef\r\n"] {
            assert!(Token::read(&written(&dir, text, 0o600)).unwrap().is(b"0123456789abcdef"));
        }
    }
}
