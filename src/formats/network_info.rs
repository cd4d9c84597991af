//! `network_info.txt`: what user space is told of a network. The kernel does not read it; picamera2
//! does.
//!
//! ```text
//!   version=020400                 ASCII, one key=value a line, each line ends in CR LF,
//!   networkID=000000               keys always in this order
//!   ...
//!   outputTensorNum=2              outputTensorDimSize1, 2, ..., then all paddings, then all bytes
//! ```
//!
//! The keys, their order and how values are written are read off the public files.

use serde::Serialize;

use super::ap_params::Network;
use super::input_norm::{InputNorm, ONE};
use super::input_tensor::{ColourOrder, InputLayout};
use super::refusal::Refusal;

/// The file's lines, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkInfo {
    /// Key and value, as they stand.
    pub entries: Vec<Entry>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Before the `=`.
    pub key: String,
    /// Behind it.
    pub value: String,
    /// Where the line begins in the file that was parsed; 0 in a line that was made.
    pub offset: usize,
}

impl NetworkInfo {
    /// The text for a network whose ApParams take `ap_params_len_bytes` unpadded.
    pub fn of(
        network: &Network,
        ap_params_len_bytes: usize,
        colours: ColourOrder,
    ) -> Result<Self, Refusal> {
        let Some(input) = network.inputs.first() else {
            return Err(Refusal::of("input tensors", 0, "1"));
        };
        let layout = InputLayout::new(input)?;
        let norm = InputNorm::of(input.quant.signed, colours);
        let mut lines = Lines(Vec::new());
        lines.add("version", "020400");
        lines.add("networkID", "000000");
        lines.add("networkType", 0);
        lines.add("apParamSize", ap_params_len_bytes);
        lines.add("networkNum", 1);
        lines.add("networkOrdinal", 0);
        lines.add("inputTensorWidth", layout.width);
        lines.add("inputTensorHeight", layout.height);
        lines.add("inputTensorFormat", format_name(colours));
        let half = |value: u16| format!("0x{value:04X}");
        let word = |value: u32| format!("0x{value:08X}");
        for (key, value) in [
            ("K00", norm.same),
            ("K02", norm.crossed),
            ("K03", norm.shift),
            ("K11", ONE),
            ("K13", norm.shift),
            ("K20", norm.crossed),
            ("K22", norm.same),
            ("K23", norm.shift),
        ] {
            lines.add(format!("inputTensorNorm_{key}"), half(value));
        }
        for key in ["yClip", "cbClip", "crClip"] {
            lines.add(key, word(norm.clip));
        }
        for channel in 0..4 {
            // The fourth channel, of raw Bayer inputs, is off.
            let (offset, clip) = if channel < 3 { (norm.norm, norm.clip) } else { (0, 0) };
            lines.add(format!("inputNorm_CH{channel}"), half(offset));
            lines.add(format!("inputNormShift_CH{channel}"), format!("0x{:02X}", InputNorm::SHIFT));
            lines.add(format!("inputNormClip_CH{channel}"), word(clip));
        }
        lines.add("inputTensorNorm_YGain", half(InputNorm::Y_GAIN.into()));
        lines.add("inputTensorNorm_YAdd", half(norm.norm));
        lines.add("outputTensorNum", network.outputs.len());
        let mut outputs: Vec<_> = network.outputs.iter().collect();
        outputs.sort_by_key(|output| output.id);
        for (n, output) in (1..).zip(&outputs) {
            let elements: u64 = output
                .dimensions
                .iter()
                .map(|axis| u64::from(axis.size))
                .fold(1, u64::saturating_mul);
            lines.add(format!("outputTensorDimSize{n}"), elements);
        }
        for n in 1..=outputs.len() {
            lines.add(format!("outputTensorPadding{n}"), 0);
        }
        for (n, output) in (1..).zip(&outputs) {
            lines.add(format!("outputTensorBytesPerElement{n}"), output.bits_per_element / 8);
        }
        Ok(Self { entries: lines.0 })
    }

    /// Parses the text; `base` is its first byte in the file. Refuses whatever `emit` would not write
    /// again, and keys that are missing, unknown or out of their order.
    pub fn parse(bytes: &[u8], base: usize) -> Result<Self, Refusal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let offset = base + (bytes.len() - rest.len());
            let (line, after) = split_line(rest).ok_or_else(|| {
                let got = "a line without its end";
                Refusal::at(offset, "network_info.txt", got, "CR LF behind every line")
            })?;
            let text = std::str::from_utf8(line).ok().filter(|text| text.is_ascii());
            let Some((key, value)) = text.and_then(|text| text.split_once('=')) else {
                let got = format!("\"{}\"", line.escape_ascii());
                return Err(Refusal::at(
                    offset,
                    "network_info.txt line",
                    got,
                    "key=value in ASCII",
                ));
            };
            if entries.len() == MAX_LINES {
                let want = "at most 300 lines";
                return Err(Refusal::at(offset, "network_info.txt", "more lines", want));
            }
            entries.push(Entry { key: key.to_owned(), value: value.to_owned(), offset });
            rest = after;
        }
        let info = Self { entries };
        info.check_keys(base + bytes.len())?;
        Ok(info)
    }

    /// The text.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let lines =
            self.entries.iter().map(|Entry { key, value, .. }| format!("{key}={value}\r\n"));
        lines.collect::<String>().into_bytes()
    }

    /// The line of a key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.entry(key).map(|entry| entry.value.as_str())
    }

    /// Order of the input's colour planes.
    pub fn colours(&self) -> Result<ColourOrder, Refusal> {
        let Some(entry) = self.entry("inputTensorFormat") else {
            return Err(Refusal::of("inputTensorFormat", "nothing", "RGB or BGR"));
        };
        match entry.value.as_str() {
            "RGB" => Ok(ColourOrder::Rgb),
            "BGR" => Ok(ColourOrder::Bgr),
            other => Err(entry.refusal(other, "RGB or BGR")),
        }
    }

    /// Width and height of the network's input, in pixels.
    pub fn input_size(&self) -> Result<(usize, usize), Refusal> {
        Ok((self.side("inputTensorWidth")?, self.side("inputTensorHeight")?))
    }

    fn side(&self, key: &'static str) -> Result<usize, Refusal> {
        let Some(entry) = self.entry(key) else {
            return Err(Refusal::of(key, "nothing", "a number of pixels"));
        };
        let side = entry.value.parse().ok().filter(|&side| side > 0);
        side.ok_or_else(|| entry.refusal(&entry.value, "a number of pixels"))
    }

    /// Every line that differs from what the network's tensors ask for.
    #[must_use]
    pub fn differences(&self, wanted: &Self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for want in &wanted.entries {
            // Files of 2024 have 020400 or 020500, and what the number means is not published.
            if want.key == "version" {
                continue;
            }
            match self.entry(&want.key) {
                Some(entry) if entry.value == want.value => {}
                Some(entry) => refusals.push(entry.refusal(&entry.value, &want.value)),
                None => {
                    let field = format!("network_info.txt {}", want.key);
                    refusals.push(Refusal::of(field, "nothing", want.value.clone()));
                }
            }
        }
        refusals
    }

    fn check_keys(&self, end: usize) -> Result<(), Refusal> {
        let outputs = match self.entry("outputTensorNum") {
            Some(entry) => entry
                .value
                .parse()
                .ok()
                .filter(|count| (1..=super::ap_params::MAX_TENSORS).contains(count))
                .ok_or_else(|| entry.refusal(&entry.value, "1 to 64"))?,
            None => 1,
        };
        let wanted = keys(outputs);
        for (n, want) in wanted.iter().enumerate() {
            let Some(entry) = self.entries.get(n) else {
                return Err(Refusal::at(end, "network_info.txt", "its end", format!("{want}=...")));
            };
            if entry.key != *want {
                let field = format!("network_info.txt line {}", n + 1);
                let got = format!("\"{}\"", entry.key);
                return Err(Refusal::at(entry.offset, field, got, format!("{want}=...")));
            }
        }
        match self.entries.get(wanted.len()) {
            None => Ok(()),
            Some(entry) => {
                let field = format!("network_info.txt line {}", wanted.len() + 1);
                let got = format!("\"{}\"", entry.key);
                Err(Refusal::at(entry.offset, field, got, "the end of the text"))
            }
        }
    }
}

impl Entry {
    fn refusal(&self, got: &str, want: &str) -> Refusal {
        Refusal::at(self.offset, format!("network_info.txt {}", self.key), got, want)
    }
}

/// How the file names a colour order.
#[must_use]
pub fn format_name(colours: ColourOrder) -> &'static str {
    match colours {
        ColourOrder::Rgb => "RGB",
        ColourOrder::Bgr => "BGR",
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

fn keys(outputs: usize) -> Vec<String> {
    let mut keys: Vec<String> = KEYS.iter().map(|&key| key.to_owned()).collect();
    for channel in 0..4 {
        for key in ["inputNorm", "inputNormShift", "inputNormClip"] {
            keys.push(format!("{key}_CH{channel}"));
        }
    }
    keys.extend(KEYS_BEHIND_CHANNELS.map(str::to_owned));
    for key in ["DimSize", "Padding", "BytesPerElement"] {
        keys.extend((1..=outputs).map(|n| format!("outputTensor{key}{n}")));
    }
    keys
}

struct Lines(Vec<Entry>);

impl Lines {
    fn add(&mut self, key: impl Into<String>, value: impl ToString) {
        self.0.push(Entry { key: key.into(), value: value.to_string(), offset: 0 });
    }
}

const KEYS: [&str; 20] = [
    "version",
    "networkID",
    "networkType",
    "apParamSize",
    "networkNum",
    "networkOrdinal",
    "inputTensorWidth",
    "inputTensorHeight",
    "inputTensorFormat",
    "inputTensorNorm_K00",
    "inputTensorNorm_K02",
    "inputTensorNorm_K03",
    "inputTensorNorm_K11",
    "inputTensorNorm_K13",
    "inputTensorNorm_K20",
    "inputTensorNorm_K22",
    "inputTensorNorm_K23",
    "yClip",
    "cbClip",
    "crClip",
];
const KEYS_BEHIND_CHANNELS: [&str; 3] =
    ["inputTensorNorm_YGain", "inputTensorNorm_YAdd", "outputTensorNum"];
/// Far more than 64 outputs need.
const MAX_LINES: usize = 300;
/// Member of the archive.
pub const MEMBER: &str = "network_info.txt";

#[cfg(test)]
mod tests {
    use super::*;

    fn info(lines: &[(&str, &str)]) -> NetworkInfo {
        let mut entries = Lines(Vec::new());
        lines.iter().for_each(|(key, value)| entries.add(*key, value));
        NetworkInfo { entries: entries.0 }
    }

    #[test]
    fn input_size_is_two_numbers_above_zero() {
        let size = |width, height| {
            info(&[("inputTensorWidth", width), ("inputTensorHeight", height)]).input_size()
        };
        assert_eq!(size("320", "240"), Ok((320, 240)));
        for (width, height) in [("0", "240"), ("320", "-1"), ("wide", "240")] {
            let refusal = size(width, height).unwrap_err().to_string();
            assert!(refusal.contains("network_info.txt inputTensor"), "{refusal}");
        }
        let refusal = info(&[("inputTensorWidth", "320")]).input_size().unwrap_err().to_string();
        assert!(refusal.contains("inputTensorHeight"), "{refusal}");
    }
}
