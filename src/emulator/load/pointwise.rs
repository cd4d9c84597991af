//! Operators that look at one pixel: sums, products, concatenation, activations, classes.

use super::attributes::Attributes;
use super::constants::floats;
use super::{Loader, Pending, Steps, refused};
use crate::emulator::LoadError;
use crate::emulator::graph::{Activation, Op};
use crate::emulator::onnx::NodeProto;

impl Loader<'_> {
    pub(super) fn sum(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        Attributes::of(node, &[])?;
        let inputs = self.two_inputs(node)?;
        let specs = [inputs[0], inputs[1]].map(|i| &self.graph.tensors[i]);
        let [a, b] = specs.map(|spec| spec.scale);
        let exact = specs.iter().all(|spec| spec.is_power_of_two());
        if exact && (a / b).max(b / a) > MAX_SCALE_RATIO {
            return Err(refused(
                node,
                format!("input scales {a} and {b}"),
                &format!("a ratio of at most {MAX_SCALE_RATIO}, so that the sum is exact"),
            ));
        }
        Ok(Pending::new(node, Op::Add, inputs))
    }

    pub(super) fn product(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        Attributes::of(node, &[])?;
        let inputs = self.two_inputs(node)?;
        Ok(Pending::new(node, Op::Mul, inputs))
    }

    fn two_inputs(&mut self, node: &NodeProto) -> Result<Vec<usize>, LoadError> {
        let [a, b] = node.input.as_slice() else {
            return Err(refused(node, format!("{} inputs", node.input.len()), "2"));
        };
        Ok(vec![self.stored(node, a)?, self.stored(node, b)?])
    }

    /// Needs no quantiser where all inputs are stored alike.
    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(node, &["axis"])?;
        attributes.channels("axis", None)?;
        if node.input.is_empty() {
            return Err(refused(node, "no inputs".to_owned(), "at least one"));
        }
        let mut inputs = Vec::new();
        for name in &node.input {
            inputs.push(self.stored(node, name)?);
        }
        let steps = |&input: &usize| Steps::of(&self.graph.tensors[input]);
        let alike = inputs.iter().all(|input| steps(input) == steps(&inputs[0]));
        let pending = Pending::new(node, Op::Concat, inputs);
        Ok(if alike { pending.picking() } else { pending })
    }

    pub(super) fn softmax(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(node, &["axis"])?;
        attributes.channels("axis", Some(-1))?;
        if self.opset < 13 {
            return Err(refused(
                node,
                format!("operator set {}", self.opset),
                "13 or later: before, Softmax was over all axes from the given one on",
            ));
        }
        let input = self.only_input(node)?;
        Ok(Pending::new(node, Op::Softmax, vec![input]))
    }

    /// Class numbers, which have no quantiser: they are stored as they are.
    pub(super) fn arg_max(&mut self, node: &NodeProto, output: &str) -> Result<usize, LoadError> {
        let attributes = Attributes::of(node, &["axis", "keepdims", "select_last_index"])?;
        attributes.channels("axis", Some(0))?;
        attributes.only("select_last_index", 0)?;
        // Without its axis the picture of classes is the same bytes.
        attributes.flag("keepdims")?;
        let input = self.only_input(node)?;
        let pending = Pending::new(node, Op::ArgMax, vec![input]);
        self.push(pending, output, Steps { scale: 1.0, zero_point: 0, signed: false })
    }

    pub(super) fn plain_activation(
        &mut self,
        node: &NodeProto,
        activation: Activation,
    ) -> Result<Pending, LoadError> {
        Attributes::of(node, &[])?;
        one_input(node)?;
        self.activation(node, activation)
    }

    pub(super) fn hard_sigmoid(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(node, &["alpha", "beta"])?;
        one_input(node)?;
        let (alpha, beta) = (attributes.number("alpha", 0.2)?, attributes.number("beta", 0.5)?);
        self.activation(node, Activation::HardSigmoid { alpha, beta })
    }

    pub(super) fn leaky_relu(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        let attributes = Attributes::of(node, &["alpha"])?;
        one_input(node)?;
        self.activation(node, Activation::LeakyRelu(attributes.number("alpha", 0.01)?))
    }

    /// Limits are constants; one that is left out does not limit.
    pub(super) fn clip(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        Attributes::of(node, &[])?;
        if !(1..=3).contains(&node.input.len()) {
            return Err(refused(node, format!("{} inputs", node.input.len()), "1 to 3"));
        }
        let limit = |at: usize, none: f32| match node.input.get(at).map_or("", String::as_str) {
            "" => Ok(none),
            name => match floats(self.constant(node, name)?)?.as_slice() {
                &[limit] if !limit.is_nan() => Ok(limit),
                other => Err(refused(node, format!("limit {name:?} of {other:?}"), "one number")),
            },
        };
        let (low, high) = (limit(1, f32::NEG_INFINITY)?, limit(2, f32::INFINITY)?);
        self.activation(node, Activation::Clip { low, high })
    }

    pub(super) fn prelu(&mut self, node: &NodeProto) -> Result<Pending, LoadError> {
        Attributes::of(node, &[])?;
        let [_, name] = node.input.as_slice() else {
            return Err(refused(node, format!("{} inputs", node.input.len()), "2"));
        };
        let slopes = self.reals(node, name)?;
        let dims = self.constant_dims(name);
        let per_channel = matches!(dims, [_, 1, 1] | [1, _, 1, 1]) && !slopes.is_empty();
        let per_channel = per_channel || slopes.len() == 1;
        if !per_channel || slopes.iter().any(|slope| !slope.is_finite()) {
            return Err(refused(
                node,
                format!("slopes of shape {dims:?}"),
                "finite ones of shape [C, 1, 1], or one",
            ));
        }
        let pending = self.activation(node, Activation::LeakyRelu(slopes[0]))?;
        let slopes = if slopes.len() == 1 { Vec::new() } else { slopes };
        Ok(Pending { slopes, ..pending })
    }

    /// The operator before it with the activation, or a node of its own.
    fn activation(
        &mut self,
        node: &NodeProto,
        activation: Activation,
    ) -> Result<Pending, LoadError> {
        let input = node.input.first().map_or("", String::as_str);
        let shared = self.is_shared(input);
        let open = |pending: &Pending| {
            pending.activation == Activation::None
                && !matches!(pending.op, Op::Softmax)
                && !(shared && pending.only_picks())
        };
        if let Some((_, pending)) = self.take_real(input, open) {
            return Ok(Pending { activation, ..pending });
        }
        let input = self.stored(node, input)?;
        Ok(Pending { activation, ..Pending::new(node, Op::Copy, vec![input]) })
    }
}

fn one_input(node: &NodeProto) -> Result<(), LoadError> {
    match node.input.len() {
        1 => Ok(()),
        other => Err(refused(node, format!("{other} inputs"), "1")),
    }
}

/// The sum of two 8-bit numbers, one shifted by up to 15 bits, is exact in float32. With scales that are no
/// powers of two it is rounded anyway.
const MAX_SCALE_RATIO: f32 = 32_768.0;
