//! Writes small MCTQ files, the way the exporter does, for the emulator's tests.

use prost::Message;
use qsegment::emulator::onnx::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type,
    data_type,
};

/// A file in the making; each method adds a node and returns the name of what it makes.
pub(crate) struct MctqFile {
    pub(crate) graph: GraphProto,
}

/// Settings of a convolution or a pooling: kernel, strides, pads above, left, below, right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) kernel: [i64; 2],
    pub(crate) strides: [i64; 2],
    pub(crate) pads: [i64; 4],
}

impl MctqFile {
    /// An input `[1, channels, height, width]`, quantised as pixels are: returns it and its name.
    pub(crate) fn new(channels: i64, height: i64, width: i64, signed: bool) -> (Self, String) {
        let input = value_info("input", [1, channels, height, width]);
        let graph = GraphProto { input: vec![input], ..GraphProto::default() };
        let mut file = Self { graph };
        let quantised = file.quantise("input", 1.0, signed);
        (file, quantised)
    }

    /// The bytes of the file whose output is `output`.
    pub(crate) fn finish(mut self, output: &str) -> Vec<u8> {
        self.graph.output = vec![value_info(output, [1, 1, 1, 1])];
        let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
        ModelProto {
            graph: Some(self.graph),
            opset_import: vec![opset("", 20), opset("mct_quantizers", 1)],
            ..ModelProto::default()
        }
        .encode_to_vec()
    }

    pub(crate) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let number = self.graph.node.len();
        let quantiser = operator.ends_with("Quantizer");
        let output = format!("t{number}");
        self.graph.node.push(NodeProto {
            name: format!("/{operator}_{number}"),
            op_type: operator.into(),
            domain: if quantiser { "mct_quantizers".into() } else { String::new() },
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.clone()],
            attribute: attributes,
        });
        output
    }

    pub(crate) fn quantise(&mut self, input: &str, threshold: f32, signed: bool) -> String {
        let attributes = vec![
            int("num_bits", 8),
            int("signed", signed.into()),
            float("threshold", threshold),
            string("mctq_version", "1.6.0"),
        ];
        self.node("ActivationPOTQuantizer", &[input], attributes)
    }

    /// `weights`: `[outputs, inputs of a group, rows, columns]`; one threshold for each output.
    pub(crate) fn conv(
        &mut self,
        input: &str,
        weights: (&[f32], [i64; 4]),
        thresholds: &[f32],
        bias: &[f32],
        group: i64,
        window: Window,
    ) -> String {
        let outputs = weights.1[0];
        let values = self.initialiser(weights.0, weights.1.to_vec());
        let thresholds = self.initialiser(thresholds, vec![outputs]);
        let bias = self.initialiser(bias, vec![outputs]);
        let attributes = vec![
            int("channel_axis", 0),
            int("num_bits", 8),
            int("per_channel", 1),
            int("signed", 1),
            string("mctq_version", "1.6.0"),
        ];
        let quantised = self.node("WeightsSymmetricQuantizer", &[&values, &thresholds], attributes);
        let mut attributes = window.attributes();
        attributes.push(int("group", group));
        self.node("Conv", &[input, &quantised, &bias], attributes)
    }

    pub(crate) fn max_pool(&mut self, input: &str, window: Window) -> String {
        let mut attributes = window.attributes();
        attributes.push(int("ceil_mode", 0));
        self.node("MaxPool", &[input], attributes)
    }

    pub(crate) fn resize(&mut self, input: &str, scales: [f32; 2]) -> String {
        let scales = self.initialiser(&[1.0, 1.0, scales[0], scales[1]], vec![4]);
        self.node("Resize", &[input, "", &scales], nearest())
    }

    pub(crate) fn initialiser(&mut self, values: &[f32], dims: Vec<i64>) -> String {
        let name = format!("constant{}", self.graph.initializer.len());
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims,
            data_type: data_type::FLOAT,
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..TensorProto::default()
        });
        name
    }
}

impl Window {
    pub(crate) fn attributes(self) -> Vec<AttributeProto> {
        vec![
            ints("kernel_shape", &self.kernel),
            ints("strides", &self.strides),
            ints("pads", &self.pads),
            ints("dilations", &[1, 1]),
        ]
    }
}

/// Attributes of the one kind of resize there is.
pub(crate) fn nearest() -> Vec<AttributeProto> {
    vec![
        string("mode", "nearest"),
        string("coordinate_transformation_mode", "asymmetric"),
        string("nearest_mode", "floor"),
        float("cubic_coeff_a", -0.75),
    ]
}

pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i,
        r#type: attribute_type::INT,
        ..AttributeProto::default()
    }
}

pub(crate) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        f,
        r#type: attribute_type::FLOAT,
        ..AttributeProto::default()
    }
}

pub(crate) fn string(name: &str, s: &str) -> AttributeProto {
    let r#type = attribute_type::STRING;
    AttributeProto { name: name.into(), s: s.into(), r#type, ..AttributeProto::default() }
}

pub(crate) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let r#type = attribute_type::INTS;
    AttributeProto { name: name.into(), ints: ints.to_vec(), r#type, ..AttributeProto::default() }
}

fn value_info(name: &str, dims: [i64; 4]) -> ValueInfoProto {
    let dim = |dim_value| DimensionProto { dim_value, ..DimensionProto::default() };
    let shape = TensorShapeProto { dim: dims.map(dim).to_vec() };
    let tensor = TensorTypeProto { elem_type: data_type::FLOAT, shape: Some(shape) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}
