//! `packerOut.zip`: what Sony's converter writes, and how a network.rpk is made of it.
//!
//! ```text
//!   manifest.json    "Release Version", and for each part its file, load address, md5 and size
//!   dnnParams.xml    networks and tensors      -> ApParams, DSP parameters, registers, network_info
//!   cfgA.bin cfgC.bin sdpsA.bin sdpsC.bin      -> a section each
//!   l2staticData.bin                           -> coefficients, split over the blocks
//!   dnnParams.xsd verTable.txt                 left out; checked where they are there
//! ```
//!
//! A section is loaded at the manifest's address | 0x4000_0000. How the parts become a file was read
//! off pairs of packerOut.zip and .rpk made by Raspberry Pi's imx500-package, which is not published;
//! what occurs in none of them is refused by name.

use std::io::{self, Read, Seek};

use md5::{Digest, Md5};
use serde::Serialize;
use zip::ZipArchive;

use super::cpio::{Archive, Member};
use super::dnn_params::DnnParams;
use super::dsp_params;
use super::imx500_regs::{self, Registers};
use super::input_tensor::ColourOrder;
use super::network_info::{self, NetworkInfo};
use super::refusal::Refusal;
use super::rpk::{Rpk, Section, SectionKind};

/// The parts that go into a network.rpk, each with its size and md5 checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PackerOut {
    /// "Release Version" of the manifest: major, minor, patch of the converter.
    pub release_version: [u8; 3],
    /// Networks and tensors.
    pub dnn_params: DnnParams,
    /// Every part that the manifest lists and the archive holds, in the order in which it is looked for.
    pub parts: Vec<Part>,
    /// Members of the archive that the manifest does not list.
    pub unlisted: Vec<String>,
}

/// A part that the manifest lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Key in the manifest.
    pub key: &'static str,
    /// Name in the archive.
    pub file: String,
    /// "LoadAddr", for the parts that the sensor loads.
    pub load_address: Option<u32>,
    /// Length of the content.
    pub len_bytes: usize,
    /// Content, of the parts that the sensor loads.
    #[serde(skip)]
    pub data: Vec<u8>,
}

impl PackerOut {
    /// Reads the archive; size and md5 of every part in the manifest are checked.
    ///
    /// Holds the parts that the sensor loads, at most 64 MiB each.
    pub fn read(archive: impl Read + Seek) -> Result<Self, Refusal> {
        let mut archive = ZipArchive::new(archive).map_err(|error| {
            Refusal::of("packerOut.zip", error, "a whole zip archive, as the converter writes it")
        })?;
        let manifest = Manifest::parse(&member(&mut archive, MANIFEST, MAX_TEXT_LEN_BYTES)?)?;
        let release_version = manifest.release_version()?;
        let mut parts = Vec::with_capacity(PARTS.len());
        let mut dnn_params = None;
        for (key, loaded) in PARTS {
            let goes_in = loaded.is_some() || key == XML;
            let Some(entry) = manifest.part(key)? else {
                if !goes_in {
                    continue;
                }
                return Err(Refusal::of(format!("{MANIFEST} {key}"), "nothing", "this part"));
            };
            let file = entry.text("File")?.to_owned();
            let load_address = loaded.map(|_| entry.load_address()).transpose()?;
            if !goes_in && archive.index_for_name(&file).is_none() {
                continue;
            }
            let data = member(&mut archive, &file, MAX_PART_LEN_BYTES)?;
            entry.check(&file, &data)?;
            let len_bytes = data.len();
            if key == XML {
                let text = std::str::from_utf8(&data).map_err(|error| {
                    Refusal::at(error.valid_up_to(), &*file, "other bytes", "UTF-8")
                })?;
                let parsed = DnnParams::parse(text).map_err(|refusal| refusal.within(&file, 0))?;
                dnn_params = Some(parsed);
            }
            let data = if loaded.is_some() { data } else { Vec::new() };
            parts.push(Part { key, file, load_address, len_bytes, data });
        }
        let is_listed = |name: &str| name == MANIFEST || parts.iter().any(|part| part.file == name);
        let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
        let unlisted = names.filter(|name| !is_listed(name)).collect();
        let dnn_params = dnn_params.expect("the xml part is required above");
        Ok(Self { release_version, dnn_params, parts, unlisted })
    }

    /// Builds the file for the sensor, as Raspberry Pi's packager does, without intrinsics.
    ///
    /// The six sections before the coefficients must leave room in the first block of 1 MiB.
    pub fn into_rpk(self, colours: ColourOrder) -> Result<Rpk, Refusal> {
        let params = self.dnn_params.ap_params();
        let [network] = params.networks.as_slice() else {
            let want = "1: no file with several was ever seen, so how they are packed is unknown";
            return Err(Refusal::of("networks in dnnParams.xml", params.networks.len(), want));
        };
        let ap_params = self.dnn_params.emit_ap_params();
        let info = NetworkInfo::of(network, ap_params.len(), colours)?;
        let registers = Registers::of(network, colours)?;
        let usual = |kind: SectionKind| kind.usual_address().expect("both have one");
        let fixed = |kind, data| Section::padded(kind, usual(kind), data);
        let mut sections = vec![
            fixed(SectionKind::ApParams, ap_params),
            fixed(SectionKind::DspParams, dsp_params::emit(&self.dnn_params)),
        ];
        for part in self.parts {
            let kind = PARTS.iter().find(|(key, _)| *key == part.key).and_then(|(_, kind)| *kind);
            let (Some(kind), Some(address)) = (kind, part.load_address) else { continue };
            if part.data.is_empty() {
                return Err(Refusal::of(part.file, "0 bytes", "content"));
            }
            sections.push(Section::padded(kind, address | LOADED_BY_HOST, part.data));
        }
        let [major, minor, patch] = self.release_version;
        let digits = format!("{major:02}{minor:02}{patch:02}0000000000");
        let mut preamble_digits = [0; 16];
        preamble_digits.copy_from_slice(digits.as_bytes());
        let mut patch_digits = [0; 2];
        patch_digits.copy_from_slice(&digits.as_bytes()[4..6]);
        let archive = Archive::packaged(vec![
            Member::packaged(imx500_regs::MEMBER, registers.emit()),
            Member::packaged(network_info::MEMBER, info.emit()),
        ]);
        let rpk = Rpk { preamble_digits, sections, patch_digits, archive };
        rpk.check_room()?;
        Ok(rpk)
    }
}

/// `manifest.json`.
struct Manifest(serde_json::Map<String, serde_json::Value>);

impl Manifest {
    fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let map = serde_json::from_slice(json)
            .map_err(|error| Refusal::of(MANIFEST, error, "a JSON object"))?;
        Ok(Self(map))
    }

    fn release_version(&self) -> Result<[u8; 3], Refusal> {
        const KEY: &str = "Release Version";
        let want = "three numbers below 100, such as \"3.19.1\"";
        let field = format!("{MANIFEST} {KEY}");
        let value = self.0.get(KEY).ok_or_else(|| Refusal::of(&*field, "nothing", want))?;
        let numbers = value.as_str().map(|text| text.split('.').map(str::parse::<u8>));
        let numbers: Option<Vec<u8>> = numbers.and_then(|all| all.collect::<Result<_, _>>().ok());
        match numbers.as_deref() {
            Some(&[major, minor, patch]) if [major, minor, patch].iter().all(|&n| n < 100) => {
                Ok([major, minor, patch])
            }
            _ => Err(Refusal::of(field, value, want)),
        }
    }

    fn part(&self, key: &'static str) -> Result<Option<ManifestPart<'_>>, Refusal> {
        match self.0.get(key) {
            None => Ok(None),
            Some(serde_json::Value::Object(fields)) => Ok(Some(ManifestPart { key, fields })),
            Some(other) => Err(Refusal::of(format!("{MANIFEST} {key}"), other, "an object")),
        }
    }
}

/// What the manifest says of one part.
struct ManifestPart<'a> {
    key: &'static str,
    fields: &'a serde_json::Map<String, serde_json::Value>,
}

impl ManifestPart<'_> {
    fn field(&self, name: &str) -> String {
        format!("{MANIFEST} {} {name}", self.key)
    }

    fn text(&self, name: &str) -> Result<&str, Refusal> {
        match self.fields.get(name) {
            Some(serde_json::Value::String(text)) => Ok(text),
            Some(other) => Err(Refusal::of(self.field(name), other, "a text")),
            None => Err(Refusal::of(self.field(name), "nothing", "a text")),
        }
    }

    fn load_address(&self) -> Result<u32, Refusal> {
        let text = self.text("LoadAddr")?;
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        u32::from_str_radix(digits, 16).map_err(|_| {
            Refusal::of(self.field("LoadAddr"), format!("\"{text}\""), "a hexadecimal number")
        })
    }

    fn check(&self, file: &str, data: &[u8]) -> Result<(), Refusal> {
        if let Some(size) = self.fields.get("Size")
            && size.as_u64() != Some(data.len() as u64)
        {
            let want = format!("{size}, the Size in {MANIFEST}");
            return Err(Refusal::of(format!("{file} size"), data.len(), want));
        }
        let stated = self.text("md5")?;
        let found: String = Md5::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
        if !stated.eq_ignore_ascii_case(&found) {
            let want = format!("{}, the md5 in {MANIFEST}", stated.to_ascii_lowercase());
            return Err(Refusal::of(format!("{file} md5"), found, want));
        }
        Ok(())
    }
}

fn member(
    archive: &mut ZipArchive<impl Read + Seek>,
    name: &str,
    limit_bytes: u64,
) -> Result<Vec<u8>, Refusal> {
    let member = archive.by_name(name).map_err(|error| match error {
        zip::result::ZipError::FileNotFound => {
            Refusal::of(format!("packerOut.zip {name}"), "nothing", "a member of this name")
        }
        error => Refusal::of(format!("packerOut.zip {name}"), error, "a member that can be read"),
    })?;
    let too_big = || {
        let want = format!("at most {} MiB", limit_bytes >> 20);
        Refusal::of(format!("packerOut.zip {name}"), "more", want)
    };
    let stated = member.size();
    if stated > limit_bytes {
        return Err(too_big());
    }
    // The stated size is somebody's word: it only says how much to ask for at first.
    let mut data = Vec::with_capacity(usize::try_from(stated.min(FIRST_ASKED_BYTES)).unwrap_or(0));
    let read = io::copy(&mut member.take(limit_bytes + 1), &mut data);
    match read {
        Ok(len) if len > limit_bytes => Err(too_big()),
        Ok(_) => Ok(data),
        Err(error) => {
            let want = "a member that can be unpacked; copy or convert it again";
            Err(Refusal::of(format!("packerOut.zip {name}"), error, want))
        }
    }
}

/// Keys of the manifest, and the section that each becomes, in the order of the file.
const PARTS: [(&str, Option<SectionKind>); 8] = [
    ("CfgBank1", Some(SectionKind::CfgA)),
    ("CfgBank2", Some(SectionKind::CfgC)),
    ("SdspA", Some(SectionKind::SdpsA)),
    ("SdspC", Some(SectionKind::SdpsC)),
    ("coef", Some(SectionKind::Coefficients)),
    (XML, None),
    ("xmlSchema", None),
    ("Versions", None),
];
const XML: &str = "xml";
const MANIFEST: &str = "manifest.json";
/// Set in every load address of a file.
const LOADED_BY_HOST: u32 = 0x4000_0000;
/// The sensor has 8 MiB.
const MAX_PART_LEN_BYTES: u64 = 64 << 20;
const MAX_TEXT_LEN_BYTES: u64 = 1 << 20;
const FIRST_ASKED_BYTES: u64 = 16 << 20;
