//! What the driver does not look at, but user space or the sensor would stumble over: parts of a file
//! that do not say the same.

use super::{Rpk, Section, SectionKind};
use crate::formats::ap_params::ApParams;
use crate::formats::dsp_params;
use crate::formats::imx500_regs::{self, Registers};
use crate::formats::network_info::{self, NetworkInfo};
use crate::formats::network_intrinsics::{self, NetworkIntrinsics};
use crate::formats::refusal::Refusal;

/// Every disagreement between the parts of a file, each with its place where it has one.
#[must_use]
pub fn inconsistencies(rpk: &Rpk) -> Vec<Refusal> {
    let mut found = Vec::new();
    for section in &rpk.sections {
        let usual = section.kind.usual_address();
        if let Some(usual) = usual.filter(|&usual| usual != section.address) {
            let at = section.offset.saturating_sub(28);
            let got = format!("{:#x}", section.address);
            let field = format!("address of {}", section.kind.name());
            found.push(Refusal::at(at, field, got, format!("{usual:#x}, as in all files")));
        }
    }
    let info = member(rpk, network_info::MEMBER, NetworkInfo::parse).unwrap_or_else(|refusal| {
        found.push(refusal);
        None
    });
    let registers = member(rpk, imx500_regs::MEMBER, Registers::parse).unwrap_or_else(|refusal| {
        found.push(refusal);
        None
    });
    if let Some(intrinsics) = rpk.archive.member(network_intrinsics::MEMBER) {
        found.extend(NetworkIntrinsics::parse(&intrinsics.data, intrinsics.offset).err());
    }
    let Some(section) = rpk.section(SectionKind::ApParams) else { return found };
    let params = match ApParams::parse(&section.data) {
        Ok(params) => params,
        Err(error) => {
            found.push(Refusal::from(error).within("ApParams", section.offset));
            return found;
        }
    };
    compare_dsp_params(rpk, &params, &mut found);
    let [network] = params.networks.as_slice() else {
        found.push(Refusal::at(section.offset, "networks", params.networks.len(), "1"));
        return found;
    };
    let Some(info) = info else { return found };
    let colours = match info.colours() {
        Ok(colours) => colours,
        Err(refusal) => {
            found.push(refusal);
            return found;
        }
    };
    match NetworkInfo::of(network, ap_params_len(section, &info, &mut found), colours) {
        Ok(wanted) => found.extend(info.differences(&wanted)),
        Err(refusal) => found.push(refusal),
    }
    match (Registers::of(network, colours), registers) {
        (Ok(wanted), Some(registers)) => compare_registers(rpk, &registers, &wanted, &mut found),
        (Err(refusal), _) => found.push(refusal),
        (Ok(_), None) => {}
    }
    found
}

/// The length that network_info.txt states, if the section's padding agrees with it: the FlatBuffer
/// itself does not say how long it is.
fn ap_params_len(section: &Section, info: &NetworkInfo, found: &mut Vec<Refusal>) -> usize {
    let padded = section.data.len();
    let is_padding = |from: usize| {
        let padding = section.data.get(from..).unwrap_or_default();
        from <= padded
            && padding.len() < 16
            && padding.iter().all(|&b| usize::from(b) == padding.len())
    };
    let stated = info.value("apParamSize").and_then(|value| value.parse().ok());
    if let Some(stated) = stated.filter(|&stated| is_padding(stated)) {
        return stated;
    }
    let fill = section.data.last().copied().map_or(0, usize::from);
    let len =
        if fill > 0 && is_padding(padded.saturating_sub(fill)) { padded - fill } else { padded };
    if info.value("apParamSize").is_none() {
        found.push(Refusal::of("apParamSize", "nothing", len.to_string()));
    }
    len
}

fn compare_registers(
    rpk: &Rpk,
    registers: &Registers,
    wanted: &Registers,
    found: &mut Vec<Refusal>,
) {
    let base = rpk.archive.member(imx500_regs::MEMBER).map_or(0, |member| member.offset);
    for want in &wanted.0 {
        let at = registers.0.iter().position(|register| register.address == want.address);
        let field = match want.address {
            imx500_regs::INPUT_LINES_REG => "input lines (register 0x305e)".to_owned(),
            imx500_regs::OUTPUT_LINES_REG => "output lines (register 0x3060)".to_owned(),
            address => format!("register {address:#06x}"),
        };
        let shown = |value: u32| match want.address {
            imx500_regs::INPUT_LINES_REG | imx500_regs::OUTPUT_LINES_REG => value.to_string(),
            _ => format!("{value:#x}"),
        };
        let by = "by the tensors in the ApParams";
        match at.map(|n| (n, registers.0[n])) {
            None => {
                let want = format!("{} {by}", shown(want.value));
                found.push(Refusal::at(base, field, "nothing", want));
            }
            Some((n, register)) if register.value != want.value => {
                let want = format!("{} {by}", shown(want.value));
                found.push(Refusal::at(base + 7 * n + 3, field, shown(register.value), want));
            }
            Some(_) => {}
        }
    }
}

fn compare_dsp_params(rpk: &Rpk, params: &ApParams, found: &mut Vec<Refusal>) {
    let Some(section) = rpk.section(SectionKind::DspParams) else { return };
    match dsp_params::parse(&section.data) {
        Err(error) => found.push(Refusal::from(error).within("DSP parameters", section.offset)),
        Ok(dsp) => {
            if dsp.ap_params().networks != params.networks {
                let want = "the networks and tensors of the ApParams";
                found.push(Refusal::at(section.offset, "DSP parameters", "others", want));
            }
        }
    }
}

fn member<T>(
    rpk: &Rpk,
    name: &str,
    parse: fn(&[u8], usize) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    match rpk.archive.member(name) {
        Some(member) => parse(&member.data, member.offset).map(Some),
        None => Err(Refusal::of(name, "nothing", "a member of the cpio archive")),
    }
}
