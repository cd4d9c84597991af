//! A file for the sensor: every part that can be read, and the verdict.

use qsegment::formats::ap_params::{ApParams, Network};
use qsegment::formats::cpio::{Archive, Digits};
use qsegment::formats::dnn_params::DnnParams;
use qsegment::formats::dsp_params;
use qsegment::formats::imx500_regs::{self, Registers};
use qsegment::formats::network_info::{self, NetworkInfo};
use qsegment::formats::network_intrinsics::{self, NetworkIntrinsics};
use qsegment::formats::print::NetworkText;
use qsegment::formats::refusal::Refusal;
use qsegment::formats::rpk::{Block, Rpk, Section, SectionKind, blocks, inconsistencies, sections};
use serde::Serialize;

use super::verdict::Verdict;
use super::{InspectArgs, Inspected};
use crate::cli::builtin::sha256_hex;
use crate::cli::out::Out;
use crate::cli::{Failure, Form, read};

/// What could be read of a file; a part that is missing is named in the verdict's damage.
#[derive(Debug, Serialize)]
pub(super) struct Parts {
    sha256: String,
    len_bytes: usize,
    blocks: Vec<Block>,
    archive: Option<Archive>,
    /// The 16 digits of the preamble.
    preamble_digits: String,
    sections: Vec<Section>,
    pub(super) ap_params: Option<ApParams>,
    dsp_params: Option<DnnParams>,
    registers: Option<Registers>,
    network_info: Option<NetworkInfo>,
    intrinsics: Option<NetworkIntrinsics>,
    #[serde(skip)]
    damage: Vec<Refusal>,
}

#[derive(Serialize)]
struct Described {
    #[serde(flatten)]
    parts: Parts,
    verdict: Verdict,
}

/// Whether it would be accepted.
pub(super) fn inspect(
    args: &InspectArgs,
    verbose: bool,
    form: Form,
    out: &mut Out,
) -> Result<bool, Failure> {
    let shown = args.file.display();
    let file = read::at_most(&args.file, &shown, read::MAX_RPK_BYTES, read::RPK_REASON)?;
    let mut parts = Parts::new(&file);
    let damage = std::mem::take(&mut parts.damage);
    let verdict = Verdict::new(&file, damage, parts.network(), args.model.as_deref())?;
    let accepted = verdict.accepted();
    match form {
        Form::Text => {
            let mut lines = parts.lines(verbose);
            lines.extend(verdict.lines());
            out.line(lines.join("\n"))?;
        }
        Form::Json => {
            let described = Described { parts, verdict };
            out.json(&Inspected::new(args, "network.rpk", described))?;
        }
    }
    Ok(accepted)
}

impl Parts {
    pub(super) fn new(file: &[u8]) -> Self {
        let mut damage = Vec::new();
        let (blocks, refusal) = blocks(file);
        damage.extend(refusal);
        let at = blocks.last().map_or(0, Block::end);
        let is_end_known = damage.is_empty();
        let (archive, refusal) = Archive::read(file.get(at..).unwrap_or_default(), at);
        // Where the blocks end early, what follows them is no archive.
        let archive = is_end_known.then_some(archive);
        let is_whole = is_end_known && refusal.is_none();
        damage.extend(refusal.filter(|_| is_end_known));
        let (payload, refusal) = sections(file, &blocks);
        let is_whole = is_whole && refusal.is_none();
        damage.extend(refusal.filter(|_| !blocks.is_empty()));
        let section =
            |kind| payload.sections.iter().find(|section: &&Section| section.kind == kind);
        let member = |name: &str| archive.as_ref().and_then(|archive| archive.member(name));
        let mut parts = Self {
            sha256: sha256_hex(file),
            len_bytes: file.len(),
            ap_params: section(SectionKind::ApParams).and_then(|s| ApParams::parse(&s.data).ok()),
            dsp_params: section(SectionKind::DspParams)
                .and_then(|s| dsp_params::parse(&s.data).ok()),
            registers: member(imx500_regs::MEMBER)
                .and_then(|m| Registers::parse(&m.data, m.offset).ok()),
            network_info: member(network_info::MEMBER)
                .and_then(|m| NetworkInfo::parse(&m.data, m.offset).ok()),
            intrinsics: member(network_intrinsics::MEMBER)
                .and_then(|m| NetworkIntrinsics::parse(&m.data, m.offset).ok()),
            preamble_digits: payload.preamble_digits.escape_ascii().to_string(),
            sections: Vec::new(),
            archive: None,
            blocks,
            damage,
        };
        if let (true, Some(archive)) = (is_whole, &archive) {
            // Only a file whose parts can all be found can be asked whether they agree.
            let (preamble_digits, patch_digits) = (payload.preamble_digits, payload.patch_digits);
            let (sections, archive) = (payload.sections.clone(), archive.clone());
            let rpk = Rpk { preamble_digits, sections, patch_digits, archive };
            parts.damage.extend(inconsistencies(&rpk));
        }
        parts.sections = payload.sections;
        parts.archive = archive;
        parts
    }

    /// What is damaged, or contradicts another part.
    pub(super) fn damage(self) -> Vec<Refusal> {
        self.damage
    }

    pub(super) fn network(&self) -> Option<&Network> {
        self.ap_params.as_ref().and_then(|params| params.networks.first())
    }

    fn lines(&self, verbose: bool) -> Vec<String> {
        let mut lines =
            vec![format!("rpk         {} bytes, sha256 {}", self.len_bytes, self.sha256)];
        if !self.sections.is_empty() {
            let digits = &self.preamble_digits;
            let part =
                |at: usize| digits.get(at..at + 2).unwrap_or_default().trim_start_matches('0');
            let part = |at| if part(at).is_empty() { "0" } else { part(at) };
            let version = format!("{}.{}.{}", part(0), part(2), part(4));
            lines.push(format!("converter   {version}, preamble {digits}"));
        }
        let sizes = self.blocks.iter().map(|block| block.payload_len_bytes.to_string());
        let sizes = sizes.collect::<Vec<_>>().join(" + ");
        lines.push(format!("blocks      {}: payload {sizes} bytes", self.blocks.len()));
        for section in &self.sections {
            lines.push(format!(
                "  {:<15} {:>8} bytes to {:#010x}, at byte {:#x}",
                section.kind.name(),
                section.data.len(),
                section.address,
                section.offset
            ));
        }
        if let Some(network) = self.network() {
            lines.push("ApParams".to_owned());
            let text = NetworkText { network, indent: "  " }.to_string();
            lines.extend(text.lines().map(str::to_owned));
        }
        if let Some(dsp) = &self.dsp_params {
            lines.push(format!("memory      {}", dsp.l2_memory));
        }
        if let Some(archive) = &self.archive {
            let members = archive.members.iter().map(|m| format!("{} {}", m.name, m.data.len()));
            let case = if archive.digits == Digits::Upper { ", repacked by GNU cpio" } else { "" };
            let members = members.collect::<Vec<_>>().join(", ");
            lines.push(format!("archive     {members} bytes{case}"));
        }
        if let Some(registers) = &self.registers {
            let shown = |value: Option<u32>| value.map_or("none".to_owned(), |v| v.to_string());
            lines.push(format!(
                "registers   {}: input lines {} (0x305e), output lines {} (0x3060)",
                registers.0.len(),
                shown(registers.input_lines()),
                shown(registers.output_lines())
            ));
            if verbose {
                for register in &registers.0 {
                    let digits = 2 + 2 * usize::from(register.len_bytes);
                    lines.push(format!(
                        "  {:#06x} = {:#0digits$x}",
                        register.address, register.value
                    ));
                }
            }
        }
        if let Some(info) = &self.network_info {
            let value = |key| info.value(key).unwrap_or("?");
            lines.push(format!(
                "info        {}x{} {}, apParamSize {}, outputs {}, version {}",
                value("inputTensorWidth"),
                value("inputTensorHeight"),
                value("inputTensorFormat"),
                value("apParamSize"),
                value("outputTensorNum"),
                value("version")
            ));
            if verbose {
                lines.extend(
                    info.entries.iter().map(|entry| format!("  {}={}", entry.key, entry.value)),
                );
            }
        }
        lines.push(format!("intrinsics  {}", self.intrinsics_text()));
        lines
    }

    fn intrinsics_text(&self) -> String {
        let Some(intrinsics) = &self.intrinsics else { return "none".to_owned() };
        let mut texts = Vec::new();
        texts.extend(intrinsics.task.map(|task| format!("task {}", task.name())));
        texts.extend(intrinsics.inference_rate.map(|rate| format!("{rate} inferences/s")));
        let labels = intrinsics.classes.as_ref().and_then(|classes| classes.labels.as_ref());
        texts.extend(labels.map(|labels| format!("{} labels", labels.len())));
        texts.join(", ")
    }
}
