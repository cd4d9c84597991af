//! Makes packerOut.zip files of our own: real in form, with bytes from a counter instead of anybody's
//! network. Shared by tests that need one, in memory or on disk.

use std::io::{Cursor, Write};

use md5::{Digest, Md5};
use qsegment::formats::dnn_params::{DnnParams, L2Memory, Network, Tensor};
use qsegment::formats::tensor::{Dimension, QuantParams};
use serde_json::{Map, Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A packerOut.zip before it is zipped: every part can be changed, or spoilt.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// Networks and tensors.
    pub(crate) dnn_params: DnnParams,
    /// "Release Version".
    pub(crate) release_version: String,
    /// Manifest key, file, load address, content.
    pub(crate) parts: Vec<(String, String, String, Vec<u8>)>,
    /// Changes the manifest at the end.
    pub(crate) spoil: fn(&mut Map<String, Value>),
}

impl Made {
    /// A network with `side` pixels a side in and out, and as many coefficients.
    pub(crate) fn new(side: u16, coefficients_len_bytes: usize) -> Self {
        let axis = |ordinal, size, serialization_index| Dimension {
            ordinal,
            size,
            serialization_index,
            padding: 0,
        };
        let tensor = |name: &str, dimensions, l2_offset, quant, persistency| Tensor {
            ordinal: 0,
            name: name.to_owned(),
            dimensions,
            l2_offset,
            bits_per_element: 8,
            quant,
            persistency,
        };
        let network = Network {
            ordinal: 0,
            name: "synthetic-network".to_owned(),
            kind: String::new(),
            inputs: vec![tensor(
                "Placeholder.input.uid1:0",
                vec![axis(0, 3, 2), axis(1, side, 1), axis(2, side, 0)],
                1_977_824,
                QuantParams { scale: 1.0 / 256.0, zero_point: 0, signed: false },
                Some(0),
            )],
            outputs: vec![tensor(
                "transform-0-0-/head/layer/Conv:0",
                vec![axis(0, 1, 0), axis(1, side, 1), axis(2, side, 2)],
                1_668_576,
                QuantParams { scale: 0.25, zero_point: 0, signed: true },
                None,
            )],
        };
        let coefficients_size = u32::try_from(coefficients_len_bytes).expect("far below 4 GiB");
        let l2_memory = L2Memory {
            total_size: 8_388_480,
            coefficients_size,
            reserved_memory_size: 1024,
            networks_runtime_size: 64 * u32::from(side) * u32::from(side),
        };
        let part = |key: &str, file: &str, address: &str, len, seed| {
            (key.to_owned(), file.to_owned(), address.to_owned(), bytes(len, seed))
        };
        Self {
            dnn_params: DnnParams { networks: vec![network], l2_memory },
            release_version: "3.19.1".to_owned(),
            parts: vec![
                part("SdspA", "sdpsA.bin", "0x5040000", 96, 1),
                part("SdspC", "sdpsC.bin", "0x6080000", 64, 2),
                part("CfgBank1", "cfgA.bin", "0x5000000", 256, 3),
                part("CfgBank2", "cfgC.bin", "0x6000000", 36, 4),
                part("coef", "l2staticData.bin", "0x47dc660", coefficients_len_bytes, 5),
            ],
            spoil: |_| {},
        }
    }

    /// The same with twice as many pixels a side in, and the shipped networks' step of the output.
    #[allow(dead_code, reason = "not every test that includes this file needs it")]
    pub(crate) fn with_halving_stem(mut self) -> Self {
        for axis in self.dnn_params.networks[0].inputs[0].dimensions.iter_mut().skip(1) {
            axis.size *= 2;
        }
        let output = &mut self.dnn_params.networks[0].outputs[0];
        output.quant.scale = 0.125;
        output.dimensions[0].size = 4;
        self
    }

    /// The archive.
    pub(crate) fn zip(&self) -> Vec<u8> {
        self.zip_with_xml(&self.dnn_params.emit(), |_| true)
    }

    /// The archive with this text as dnnParams.xml and only the members that `keep` lets through.
    pub(crate) fn zip_with_xml(&self, xml: &str, keep: impl Fn(&str) -> bool) -> Vec<u8> {
        let mut parts = self.parts.clone();
        let no_address = "NA".to_owned();
        parts.push(("xml".into(), "dnnParams.xml".into(), no_address, xml.as_bytes().to_vec()));
        parts.push(("Versions".into(), "verTable.txt".into(), "0xE000".into(), bytes(24, 6)));
        let mut manifest = Map::new();
        manifest.insert("Release Version".into(), self.release_version.clone().into());
        manifest.insert("Description".into(), "made by a test".into());
        for (key, file, address, data) in &parts {
            let md5: String = Md5::digest(data).iter().map(|byte| format!("{byte:02X}")).collect();
            let part = json!({ "LoadAddr": address, "File": file, "md5": md5, "Size": data.len() });
            manifest.insert(key.clone(), part);
        }
        (self.spoil)(&mut manifest);
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let manifest = serde_json::to_vec_pretty(&manifest).expect("it has no NaN");
        let manifest = ("manifest.json".to_owned(), manifest);
        let members = parts.into_iter().map(|(_, file, _, data)| (file, data));
        for (name, data) in members.chain([manifest]).filter(|(name, _)| keep(name)) {
            zip.start_file(name, SimpleFileOptions::default()).expect(IN_MEMORY);
            zip.write_all(&data).expect(IN_MEMORY);
        }
        zip.finish().expect(IN_MEMORY).into_inner()
    }
}

/// Bytes that do not compress and repeat on every machine (a linear congruential sequence).
pub(crate) fn bytes(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

const IN_MEMORY: &str = "memory can be written";
