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
    pub(crate) dilations: [i64; 2],
}

/// The window that most networks have.
pub(crate) const SAME_3X3: Window =
    Window { kernel: [3, 3], strides: [1, 1], pads: [1; 4], dilations: [1, 1] };
/// 2 x 2, stride 2.
pub(crate) const HALVES: Window =
    Window { kernel: [2, 2], strides: [2, 2], pads: [0; 4], dilations: [1, 1] };

impl MctqFile {
    /// An input `[1, channels, height, width]`, quantised as pixels are: returns it and its name.
    pub(crate) fn new(channels: i64, height: i64, width: i64, signed: bool) -> (Self, String) {
        let mut file = Self::of([channels, height, width]);
        let quantised = file.quantise("input", 1.0, signed);
        (file, quantised)
    }

    /// With an input called "input", which is not quantised yet.
    pub(crate) fn of([channels, height, width]: [i64; 3]) -> Self {
        let input = value_info("input", [1, channels, height, width]);
        Self { graph: GraphProto { input: vec![input], ..GraphProto::default() } }
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
        let inputs = self.kernels(input, weights, (thresholds, 0), bias);
        let mut attributes = window.attributes();
        attributes.push(int("group", group));
        self.node("Conv", &inputs.each_ref().map(String::as_str), attributes)
    }

    /// `weights`: `[inputs, outputs of a group, rows, columns]`; one threshold for each output of a group.
    pub(crate) fn conv_transpose(
        &mut self,
        input: &str,
        weights: (&[f32], [i64; 4]),
        thresholds: &[f32],
        bias: &[f32],
        group: i64,
        (window, output_padding): (Window, [i64; 2]),
    ) -> String {
        let inputs = self.kernels(input, weights, (thresholds, 1), bias);
        let mut attributes = window.attributes();
        attributes.extend([int("group", group), ints("output_padding", &output_padding)]);
        self.node("ConvTranspose", &inputs.each_ref().map(String::as_str), attributes)
    }

    /// The three inputs of a convolution.
    fn kernels(
        &mut self,
        input: &str,
        (values, dims): (&[f32], [i64; 4]),
        (thresholds, axis): (&[f32], i64),
        bias: &[f32],
    ) -> [String; 3] {
        let values = self.initialiser(values, dims.to_vec());
        let thresholds = self.initialiser(thresholds, vec![thresholds.len() as i64]);
        let bias = self.initialiser(bias, vec![bias.len() as i64]);
        let attributes = vec![
            int("channel_axis", axis),
            int("num_bits", 8),
            int("per_channel", 1),
            int("signed", 1),
            string("mctq_version", "1.6.0"),
        ];
        let quantised = self.node("WeightsSymmetricQuantizer", &[&values, &thresholds], attributes);
        [input.to_owned(), quantised, bias]
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

    /// `coordinates`: ONNX's coordinate_transformation_mode.
    pub(crate) fn resize_linear(
        &mut self,
        input: &str,
        scales: [f32; 2],
        coordinates: &str,
    ) -> String {
        let scales = self.initialiser(&[1.0, 1.0, scales[0], scales[1]], vec![4]);
        let mode = string("coordinate_transformation_mode", coordinates);
        self.node("Resize", &[input, "", &scales], vec![string("mode", "linear"), mode])
    }

    /// A tensor of uint8 (2), int8 (3) or int32 (6) numbers, in the field of its type.
    pub(crate) fn integers(&mut self, data_type: i32, values: &[i32], dims: Vec<i64>) -> String {
        let name = format!("constant{}", self.graph.initializer.len());
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims,
            data_type,
            int32_data: values.to_vec(),
            ..TensorProto::default()
        });
        name
    }

    /// `QuantizeLinear` and `DequantizeLinear` with a zero point of `data_type` 2 (uint8) or 3 (int8).
    pub(crate) fn quantise_linear(
        &mut self,
        input: &str,
        (scale, zero_point, data_type): (f32, i32, i32),
    ) -> String {
        let scale = self.initialiser(&[scale], vec![]);
        let zero_point = self.integers(data_type, &[zero_point], vec![]);
        let codes = self.node("QuantizeLinear", &[input, &scale, &zero_point], vec![]);
        self.node("DequantizeLinear", &[&codes, &scale, &zero_point], vec![])
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
            ints("dilations", &self.dilations),
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
