//! `dnnParams.xml` of a packerOut.zip: networks and tensors as the converter describes them.
//!
//! ```text
//!   dnnParams
//!     networks / network           name, ordinal, type
//!       inputTensors / inputTensor     name, ordinal, l2Offset, bitsPerElement, shift, scale, format,
//!         dimensions / dimension       numOfDimensions, persistency
//!       outputTensors / outputTensor   the same without persistency; dimension: size, ordinal,
//!         dimensions / dimension       serializationOrder, padding
//!     l2memory                     totalSize, coefficientsSize, reservedMemorySize,
//!                                  networksRuntimeSize
//! ```
//!
//! Everything stays in the order of the document, because the bytes of the FlatBuffers that are made
//! of it depend on that order.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use roxmltree::{Document, Node};
use serde::Serialize;

use super::ap_params::{
    self, ApParams, Created, InputTensorInfo, MAX_DIMENSIONS, MAX_NAME_LEN_BYTES, MAX_NETWORKS,
    MAX_TENSORS, OutputTensorInfo,
};
use super::refusal::Refusal;
use super::tensor::{Dimension, QuantParams};

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DnnParams {
    /// In the order of the document.
    pub networks: Vec<Network>,
    /// The sensor's memory as the converter divided it.
    pub l2_memory: L2Memory,
}

/// One network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Network {
    /// Number of the network.
    pub ordinal: u16,
    /// Name, whole.
    pub name: String,
    /// Empty in all files seen.
    pub kind: String,
    /// In the order of the document.
    pub inputs: Vec<Tensor>,
    /// In the order of the document.
    pub outputs: Vec<Tensor>,
}

/// One tensor, input or output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tensor {
    /// Number among its kind.
    pub ordinal: u8,
    /// Name, whole.
    pub name: String,
    /// In the order of the document.
    pub dimensions: Vec<Dimension>,
    /// Byte in the sensor's memory.
    pub l2_offset: u32,
    /// 8, 16 or 32.
    pub bits_per_element: u8,
    /// Meaning of the stored integers.
    pub quant: QuantParams,
    /// Inputs only: 1 if the tensor stays in memory during the whole inference.
    pub persistency: Option<u8>,
}

/// The sensor's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct L2Memory {
    /// All of it.
    pub total_size: u32,
    /// Weights.
    pub coefficients_size: u32,
    /// Kept back by the firmware.
    pub reserved_memory_size: u32,
    /// Tensors while the network runs.
    pub networks_runtime_size: u32,
}

impl L2Memory {
    /// What the network takes: weights, tensors and reserve.
    #[must_use]
    pub fn used(&self) -> u64 {
        u64::from(self.coefficients_size)
            + u64::from(self.reserved_memory_size)
            + u64::from(self.networks_runtime_size)
    }
}

impl Display for L2Memory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (used, total) = (self.used(), u64::from(self.total_size));
        let percent = used * 100 / total.max(1);
        write!(f, "{used} of {total} bytes ({percent} %): ")?;
        let (tensors, weights) = (self.networks_runtime_size, self.coefficients_size);
        write!(f, "tensors {tensors}, weights {weights}, reserve {}", self.reserved_memory_size)
    }
}

impl DnnParams {
    /// Reads the document. Offsets in refusals count from its first byte.
    pub fn parse(xml: &str) -> Result<Self, Refusal> {
        if xml.len() > MAX_LEN_BYTES {
            let got = format!("{} bytes", xml.len());
            return Err(Refusal::of("dnnParams.xml", got, "at most 4 MiB"));
        }
        let document = Document::parse(xml).map_err(|error| {
            Refusal::of("dnnParams.xml", error, "XML without a document type definition")
        })?;
        let root = document.root_element();
        if root.tag_name().name() != "dnnParams" {
            let got = format!("<{}>", root.tag_name().name());
            return Err(Refusal::at(root.range().start, "root element", got, "<dnnParams>"));
        }
        let memory = child(root, "l2memory")?;
        Ok(Self {
            networks: listed(root, "networks", "network", MAX_NETWORKS, network)?,
            l2_memory: L2Memory {
                total_size: number(memory, "totalSize")?,
                coefficients_size: number(memory, "coefficientsSize")?,
                reserved_memory_size: number(memory, "reservedMemorySize")?,
                networks_runtime_size: number(memory, "networksRuntimeSize")?,
            },
        })
    }

    /// Writes the document.
    #[must_use]
    pub fn emit(&self) -> String {
        Xml(self).to_string()
    }

    /// What the sensor says of the same tensors: vectors by ordinal, tensors' names cut to their last
    /// 20 characters.
    #[must_use]
    pub fn ap_params(&self) -> ApParams {
        let networks = self.networks.iter().map(|network| ap_params::Network {
            id: network.ordinal,
            name: network.name.clone(),
            kind: network.kind.clone(),
            inputs: by_ordinal(&network.inputs).map(Tensor::input_info).collect(),
            outputs: by_ordinal(&network.outputs).map(Tensor::output_info).collect(),
        });
        ApParams { networks: networks.collect() }
    }

    /// The bytes of [`DnnParams::ap_params`] as Raspberry Pi's packager makes them.
    #[must_use]
    pub fn emit_ap_params(&self) -> Vec<u8> {
        self.ap_params().emit_created(|n| self.networks[n].created())
    }
}

impl Network {
    /// The order of the document, as places in the vectors by ordinal.
    pub(super) fn created(&self) -> Created {
        Created { inputs: ranks(&self.inputs), outputs: ranks(&self.outputs) }
    }
}

/// The tensors of a FlatBuffer's vector.
pub(super) fn by_ordinal(tensors: &[Tensor]) -> impl Iterator<Item = &Tensor> {
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by_key(|tensor| tensor.ordinal);
    sorted.into_iter()
}

fn ranks(tensors: &[Tensor]) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..tensors.len()).collect();
    sorted.sort_by_key(|&n| tensors[n].ordinal);
    let mut ranks = vec![0; tensors.len()];
    for (rank, n) in sorted.into_iter().enumerate() {
        ranks[n] = rank;
    }
    ranks
}

impl Tensor {
    /// The last 20 characters of the name, which is what goes into a file for the sensor.
    #[must_use]
    pub fn short_name(&self) -> &str {
        let from = self.name.char_indices().rev().nth(SHORT_NAME_CHARS - 1).map_or(0, |(at, _)| at);
        &self.name[from..]
    }

    fn input_info(&self) -> InputTensorInfo {
        InputTensorInfo {
            id: self.ordinal,
            name: self.short_name().to_owned(),
            dimensions: self.dimensions.clone(),
            quant: self.quant,
        }
    }

    fn output_info(&self) -> OutputTensorInfo {
        OutputTensorInfo {
            id: self.ordinal,
            name: self.short_name().to_owned(),
            dimensions: self.dimensions.clone(),
            bits_per_element: self.bits_per_element,
            quant: self.quant,
        }
    }
}

fn network(node: Node<'_, '_>) -> Result<Network, Refusal> {
    Ok(Network {
        ordinal: number(node, "ordinal")?,
        name: text(node, "name", MAX_NAME_LEN_BYTES)?,
        kind: node.attribute("type").unwrap_or_default().to_owned(),
        inputs: listed(node, "inputTensors", "inputTensor", MAX_TENSORS, input_tensor)?,
        outputs: listed(node, "outputTensors", "outputTensor", MAX_TENSORS, tensor)?,
    })
}

fn input_tensor(node: Node<'_, '_>) -> Result<Tensor, Refusal> {
    // Left out by some versions of the converter, and by FlatBuffers where it is 0.
    let persistency = match node.attribute("persistency") {
        Some(_) => number(node, "persistency")?,
        None => 0,
    };
    Ok(Tensor { persistency: Some(persistency), ..tensor(node)? })
}

fn tensor(node: Node<'_, '_>) -> Result<Tensor, Refusal> {
    let dimensions = listed(node, "dimensions", "dimension", MAX_DIMENSIONS, dimension)?;
    let stated: usize = number(node, "numOfDimensions")?;
    if stated != dimensions.len() {
        let want = format!("{}, the <dimension> elements there are", dimensions.len());
        return Err(refuse(node, "numOfDimensions", stated, want));
    }
    let bits_per_element = number(node, "bitsPerElement")?;
    if !matches!(bits_per_element, 8 | 16 | 32) {
        return Err(refuse(node, "bitsPerElement", bits_per_element, "8, 16 or 32".to_owned()));
    }
    let signed = match attribute(node, "format")? {
        "signed" => true,
        "unsigned" => false,
        other => {
            let want = "signed or unsigned".to_owned();
            return Err(refuse(node, "format", format!("\"{other}\""), want));
        }
    };
    let scale: f32 = number(node, "scale")?;
    if !scale.is_finite() {
        return Err(refuse(node, "scale", scale, "a finite number".to_owned()));
    }
    Ok(Tensor {
        ordinal: number(node, "ordinal")?,
        name: text(node, "name", MAX_LONG_NAME_LEN_BYTES)?,
        dimensions,
        l2_offset: number(node, "l2Offset")?,
        bits_per_element,
        quant: QuantParams { scale, zero_point: number(node, "shift")?, signed },
        persistency: None,
    })
}

fn dimension(node: Node<'_, '_>) -> Result<Dimension, Refusal> {
    Ok(Dimension {
        ordinal: number(node, "ordinal")?,
        size: number(node, "size")?,
        serialization_index: number(node, "serializationOrder")?,
        padding: number(node, "padding")?,
    })
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Result<Node<'a, 'i>, Refusal> {
    let mut found = node.children().filter(|child| child.has_tag_name(name));
    match (found.next(), found.next()) {
        (Some(child), None) => Ok(child),
        (None, _) => {
            let field = format!("<{}>", node.tag_name().name());
            Err(Refusal::at(node.range().start, field, "none", format!("a <{name}> element")))
        }
        (Some(_), Some(second)) => {
            let at = second.range().start;
            Err(Refusal::at(at, format!("<{name}>"), "a second one", "one"))
        }
    }
}

fn listed<T>(
    node: Node<'_, '_>,
    list: &str,
    item: &str,
    max: usize,
    read: impl Fn(Node<'_, '_>) -> Result<T, Refusal>,
) -> Result<Vec<T>, Refusal> {
    let list = child(node, list)?;
    let items = || list.children().filter(|child| child.has_tag_name(item));
    let count = items().count();
    if count > max {
        let field = format!("<{item}> elements");
        return Err(Refusal::at(list.range().start, field, count, format!("at most {max}")));
    }
    items().map(read).collect()
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str, Refusal> {
    node.attribute(name).ok_or_else(|| {
        let field = format!("<{}> {name}", node.tag_name().name());
        Refusal::at(node.range().start, field, "nothing", "this attribute")
    })
}

fn number<T: FromStr>(node: Node<'_, '_>, name: &str) -> Result<T, Refusal> {
    let text = attribute(node, name)?;
    text.trim().parse().map_err(|_| {
        let want = format!("a number ({})", std::any::type_name::<T>());
        refuse(node, name, format!("\"{text}\""), want)
    })
}

fn text(node: Node<'_, '_>, name: &str, max_len_bytes: usize) -> Result<String, Refusal> {
    let text = attribute(node, name)?;
    if text.len() > max_len_bytes {
        let got = format!("{} bytes", text.len());
        return Err(refuse(node, name, got, format!("at most {max_len_bytes} bytes")));
    }
    Ok(text.to_owned())
}

fn refuse(node: Node<'_, '_>, name: &str, got: impl Display, want: String) -> Refusal {
    let at = node.attribute_node(name).map_or(node.range().start, |found| found.range().start);
    Refusal::at(at, format!("<{}> {name}", node.tag_name().name()), got, want)
}

/// The document as text.
struct Xml<'a>(&'a DnnParams);

impl Display for Xml<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#)?;
        writeln!(f, "<dnnParams>\n    <networks>")?;
        for Network { ordinal, name, kind, inputs, outputs } in &self.0.networks {
            let (name, kind) = (Escaped(name), Escaped(kind));
            writeln!(f, r#"        <network name="{name}" ordinal="{ordinal}" type="{kind}">"#)?;
            for (list, tensors) in [("inputTensor", inputs), ("outputTensor", outputs)] {
                writeln!(f, "            <{list}s>")?;
                for tensor in tensors {
                    write_tensor(f, list, tensor)?;
                }
                writeln!(f, "            </{list}s>")?;
            }
            writeln!(f, "        </network>")?;
        }
        writeln!(f, "    </networks>")?;
        let memory = &self.0.l2_memory;
        writeln!(
            f,
            r#"    <l2memory totalSize="{}" coefficientsSize="{}" reservedMemorySize="{}" networksRuntimeSize="{}"/>"#,
            memory.total_size,
            memory.coefficients_size,
            memory.reserved_memory_size,
            memory.networks_runtime_size,
        )?;
        write!(f, "</dnnParams>")
    }
}

fn write_tensor(f: &mut Formatter<'_>, element: &str, tensor: &Tensor) -> fmt::Result {
    write!(f, "                <{element}")?;
    if let Some(persistency) = tensor.persistency {
        write!(f, r#" persistency="{persistency}""#)?;
    }
    let QuantParams { scale, zero_point, signed } = tensor.quant;
    let format = if signed { "signed" } else { "unsigned" };
    write!(f, r#" ordinal="{}" name="{}""#, tensor.ordinal, Escaped(&tensor.name))?;
    write!(f, r#" l2Offset="{}" numOfDimensions="{}""#, tensor.l2_offset, tensor.dimensions.len())?;
    write!(f, r#" bitsPerElement="{}" shift="{zero_point}""#, tensor.bits_per_element)?;
    writeln!(f, r#" scale="{scale}" format="{format}">"#)?;
    writeln!(f, "                    <dimensions>")?;
    for Dimension { ordinal, size, serialization_index, padding } in &tensor.dimensions {
        write!(f, r#"                        <dimension size="{size}""#)?;
        write!(f, r#" serializationOrder="{serialization_index}""#)?;
        writeln!(f, r#" ordinal="{ordinal}" padding="{padding}"/>"#)?;
    }
    writeln!(f, "                    </dimensions>")?;
    writeln!(f, "                </{element}>")
}

/// Text within an attribute.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '"' => f.write_str("&quot;")?,
                '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

const SHORT_NAME_CHARS: usize = 20;
/// Tensors' names are cut for the sensor, so the document may have longer ones.
const MAX_LONG_NAME_LEN_BYTES: usize = 4096;
const MAX_LEN_BYTES: usize = 4 << 20;
