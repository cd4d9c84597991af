//! The newc archive behind the blocks of a network.rpk.
//!
//! ```text
//!   header   "070701", then 13 fields of 8 hexadecimal digits:
//!            ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
//!   name     with its NUL, then NUL up to a multiple of 4
//!   data     then NUL up to a multiple of 4
//!   ...      the last member is called TRAILER!!! and has no data; older files then fill up to 512
//! ```
//!
//! Read and written here because an archive must come out as it went in, hexadecimal digits in upper
//! or lower case included, and because errors must name the byte; the `cpio` crate does neither.

use serde::Serialize;

use super::reader::Reader;
use super::refusal::Refusal;

/// Members and how their headers are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Archive {
    /// In the order of the file, without the trailer.
    pub members: Vec<Member>,
    /// Header fields of the trailer.
    pub trailer: Fields,
    /// Case of the hexadecimal digits A to F.
    pub digits: Digits,
    /// Zero bytes behind the trailer.
    pub trailing_zeros: usize,
}

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// File name.
    pub name: String,
    /// Header fields that say nothing about the content.
    pub fields: Fields,
    /// Content.
    #[serde(skip)]
    pub data: Vec<u8>,
    /// Where the content lies in the file that was parsed; 0 in a member that was made.
    pub offset: usize,
}

/// Header fields that neither the kernel nor user space acts on, but the file type in `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Fields {
    /// Inode number.
    pub ino: u32,
    /// File type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Links.
    pub nlink: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u32,
    /// Device and special-device numbers: major, minor, major, minor.
    pub devices: [u32; 4],
    /// Checksum; 0 in this form of the archive.
    pub check: u32,
}

/// Case of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Digits {
    /// As Raspberry Pi's packager writes them.
    #[default]
    Lower,
    /// As GNU cpio writes them, with which older files were packed again.
    Upper,
}

impl Fields {
    /// What Raspberry Pi's packager writes for a file: a regular one, everything else zero.
    pub const PACKAGED: Self = Self {
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        nlink: 0,
        mtime: 0,
        devices: [0; 4],
        check: 0,
    };
    /// What it writes for the trailer.
    pub const PACKAGED_TRAILER: Self = Self { mode: 0, nlink: 1, ..Self::PACKAGED };
}

impl Member {
    /// A member with the header of Raspberry Pi's packager.
    #[must_use]
    pub fn packaged(name: &str, data: Vec<u8>) -> Self {
        Self { name: name.to_owned(), fields: Fields::PACKAGED, data, offset: 0 }
    }
}

impl Archive {
    /// An archive with the headers of Raspberry Pi's packager.
    #[must_use]
    pub fn packaged(members: Vec<Member>) -> Self {
        let trailer = Fields::PACKAGED_TRAILER;
        Self { members, trailer, digits: Digits::Lower, trailing_zeros: 0 }
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Parses the bytes that begin at byte `base` of the file and go on to its end. Refuses whatever
    /// [`Archive::emit`] would not write again byte for byte.
    pub fn parse(bytes: &[u8], base: usize) -> Result<Self, Refusal> {
        match Self::read(bytes, base) {
            (archive, None) => Ok(archive),
            (_, Some(refusal)) => Err(refusal),
        }
    }

    /// The members as far as they can be read, and why no more of them can.
    #[must_use]
    pub fn read(bytes: &[u8], base: usize) -> (Self, Option<Refusal>) {
        let mut archive = Self::packaged(Vec::new());
        let refusal = archive.fill(bytes, base).err();
        (archive, refusal)
    }

    fn fill(&mut self, bytes: &[u8], base: usize) -> Result<(), Refusal> {
        let mut case = Case::default();
        let mut at = 0;
        loop {
            let entry = Entry::parse(bytes, at, base, &mut case)?;
            self.digits = if case.upper { Digits::Upper } else { Digits::Lower };
            at = entry.end;
            if entry.member.name == TRAILER {
                self.trailer = entry.member.fields;
                break;
            }
            self.members.push(entry.member);
            if self.members.len() > MAX_MEMBERS {
                let want = "at most 64 members, then TRAILER!!!";
                return Err(Refusal::at(base + at, "cpio archive", self.members.len(), want));
            }
        }
        let zeros = bytes.get(at..).unwrap_or_default();
        self.trailing_zeros = zeros.len();
        match zeros.iter().position(|&byte| byte != 0) {
            None => Ok(()),
            Some(n) => {
                let field = "bytes behind the cpio trailer";
                Err(Refusal::at(base + at + n, field, zeros[n], "0 up to the end"))
            }
        }
    }

    /// The archive's bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for Member { name, fields, data, .. } in &self.members {
            self.emit_entry(name, *fields, data, &mut bytes);
        }
        self.emit_entry(TRAILER, self.trailer, &[], &mut bytes);
        bytes.resize(bytes.len() + self.trailing_zeros, 0);
        bytes
    }

    fn emit_entry(&self, name: &str, fields: Fields, data: &[u8], bytes: &mut Vec<u8>) {
        let Fields { ino, mode, uid, gid, nlink, mtime, devices, check } = fields;
        let [d0, d1, d2, d3] = devices;
        let file_size = u32::try_from(data.len()).expect("members are far below 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("names are far below 4 GiB");
        bytes.extend(MAGIC);
        for field in
            [ino, mode, uid, gid, nlink, mtime, file_size, d0, d1, d2, d3, name_size, check]
        {
            let digits = match self.digits {
                Digits::Lower => format!("{field:08x}"),
                Digits::Upper => format!("{field:08X}"),
            };
            bytes.extend(digits.bytes());
        }
        bytes.extend(name.bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

/// A member and where it ends.
struct Entry {
    member: Member,
    end: usize,
}

impl Entry {
    fn parse(bytes: &[u8], at: usize, base: usize, case: &mut Case) -> Result<Self, Refusal> {
        let mut r = Reader::at(bytes, at).with_base(base);
        let magic = r.take(MAGIC.len(), "cpio magic")?;
        if magic != MAGIC {
            let got = format!("\"{}\"", magic.escape_ascii());
            return Err(Refusal::at(base + at, "cpio magic", got, "\"070701\""));
        }
        let mut field = |name| case.hex(&mut r, name);
        let (ino, mode) = (field("cpio ino")?, field("cpio mode")?);
        let (uid, gid) = (field("cpio uid")?, field("cpio gid")?);
        let (nlink, mtime) = (field("cpio nlink")?, field("cpio mtime")?);
        let file_size = field("cpio filesize")?;
        let devices = [
            field("cpio devmajor")?,
            field("cpio devminor")?,
            field("cpio rdevmajor")?,
            field("cpio rdevminor")?,
        ];
        let name_size_at = at + 94;
        let name_size = field("cpio namesize")?;
        let check = field("cpio check")?;
        let name = name_field(&mut r, name_size, base + name_size_at)?;
        padding(&mut r, base, "padding of the cpio name")?;
        let offset = r.offset();
        let data = r.take(usize::try_from(file_size).unwrap_or(usize::MAX), "cpio data")?.to_vec();
        if name == TRAILER && !data.is_empty() {
            return Err(Refusal::at(
                base + at + 54,
                "cpio filesize of the trailer",
                file_size,
                "0",
            ));
        }
        padding(&mut r, base, "padding of the cpio data")?;
        let fields = Fields { ino, mode, uid, gid, nlink, mtime, devices, check };
        let member = Member { name, fields, data, offset };
        Ok(Self { member, end: r.offset() - base })
    }
}

fn name_field(r: &mut Reader<'_>, size: u32, size_at: usize) -> Result<String, Refusal> {
    let wrong = |got: String| Err(Refusal::at(size_at, "cpio namesize", got, "2 to 256"));
    let Ok(len) = usize::try_from(size) else { return wrong(size.to_string()) };
    if !(2..=MAX_NAME_LEN_BYTES + 1).contains(&len) {
        return wrong(size.to_string());
    }
    let at = r.offset();
    let bytes = r.take(len, "cpio name")?;
    let name = match bytes {
        [name @ .., 0] if !name.contains(&0) => std::str::from_utf8(name).ok(),
        _ => None,
    };
    name.map(str::to_owned).ok_or_else(|| {
        let got = format!("\"{}\"", bytes.escape_ascii());
        Refusal::at(at, "cpio name", got, "UTF-8 that ends with its only NUL")
    })
}

/// Fills up to the next multiple of 4, counted from the archive's beginning.
fn padding(r: &mut Reader<'_>, base: usize, field: &'static str) -> Result<(), Refusal> {
    let at = r.offset();
    let len = (at - base).next_multiple_of(ALIGNMENT) - (at - base);
    let bytes = r.take(len, field)?;
    match bytes.iter().position(|&byte| byte != 0) {
        None => Ok(()),
        Some(n) => Err(Refusal::at(at + n, field, bytes[n], "0")),
    }
}

/// Which case the digits A to F had so far.
#[derive(Default)]
struct Case {
    upper: bool,
    lower: bool,
}

impl Case {
    fn hex(&mut self, r: &mut Reader<'_>, field: &'static str) -> Result<u32, Refusal> {
        let at = r.offset();
        let digits = r.take(8, field)?;
        self.upper |= digits.iter().any(u8::is_ascii_uppercase);
        self.lower |= digits.iter().any(u8::is_ascii_lowercase);
        let shown = || format!("\"{}\"", digits.escape_ascii());
        if self.upper && self.lower {
            let want = "hexadecimal digits of one case in the whole archive";
            return Err(Refusal::at(at, field, shown(), want));
        }
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Refusal::at(at, field, shown(), "8 hexadecimal digits"));
        }
        // 8 checked digits always fit.
        Ok(digits
            .iter()
            .fold(0, |high, &digit| high << 4 | char::from(digit).to_digit(16).unwrap_or_default()))
    }
}

const MAGIC: &[u8; 6] = b"070701";
const TRAILER: &str = "TRAILER!!!";
const ALIGNMENT: usize = 4;
/// Real files hold two or three.
const MAX_MEMBERS: usize = 64;
const MAX_NAME_LEN_BYTES: usize = 255;
