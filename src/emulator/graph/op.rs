//! What nodes compute, and what they need for it.

/// Operators. To add one: here, `shape.rs`, `load/`, `reference.rs`; `tests/emulator_proptest.rs` compares the
/// engine with the last.
#[derive(Debug, Clone)]
pub enum Op {
    /// 2-D convolution; outside the picture lies the real zero.
    Conv(Conv),
    /// Transposed convolution.
    ConvTranspose(ConvTranspose),
    /// Sum of two tensors of one shape.
    Add,
    /// Product of two tensors of one shape, or of one of them with one pixel (C, 1, 1) of the other.
    Mul,
    /// The planes of all inputs, one after the other.
    Concat,
    /// Largest of a window; what lies outside the picture does not take part.
    MaxPool(Window),
    /// Mean of a window.
    AveragePool(AveragePool),
    /// Mean of each plane, one pixel.
    GlobalAveragePool,
    /// Nearest neighbour: output row `y` is input row `floor(y / scale)`.
    Resize(ResizeTo),
    /// Mean of the four neighbours, weighted by nearness.
    ResizeLinear(ResizeLinear),
    /// `exp(y)` of a plane over the sum of it for all planes, pixel by pixel.
    Softmax,
    /// The number of the plane that is largest, the first where several are; one plane.
    ArgMax,
    /// The input itself; for an activation or a quantiser that stands alone.
    Copy,
}

/// What is applied between an operator and its quantiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(y, 0)`.
    Relu,
    /// `1 / (1 + exp(-y))`.
    Sigmoid,
    /// `min(max(y, low), high)`; ReLU6 is the one from 0 to 6.
    Clip {
        /// Smallest result.
        low: f32,
        /// Largest result.
        high: f32,
    },
    /// `min(max(alpha * y + beta, 0), 1)`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Result at 0.
        beta: f32,
    },
    /// `y` times its hard sigmoid of slope 1/6 through 0.5.
    HardSwish,
    /// `y`, or this slope times `y` where that is negative. PRelu is a node with [`Node::slopes`].
    ///
    /// [`Node::slopes`]: super::Node::slopes
    LeakyRelu(f32),
}

/// Weights and window of a convolution.
#[derive(Debug, Clone)]
pub struct Conv {
    /// Planes made.
    pub out_channels: usize,
    /// Planes read by each group.
    pub group_channels: usize,
    /// Output plane `o` reads the planes of group `o / (out_channels / groups)`.
    pub groups: usize,
    /// Kernel, stride, padding.
    pub window: Window,
    /// `[out_channels][group_channels][kernel row][kernel column]`.
    pub weights: Vec<i8>,
    /// Real value of one step of a weight, per output plane.
    pub weight_scales: Vec<f32>,
    /// Real value added, per output plane.
    pub bias: Vec<f32>,
}

/// How a window moves over a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows, columns.
    pub kernel: [usize; 2],
    /// Rows, columns from one output pixel to the next.
    pub stride: [usize; 2],
    /// Rows above, columns left, rows below, columns right of the picture.
    pub padding: [usize; 4],
    /// Rows, columns from one tap of the kernel to the next.
    pub dilation: [usize; 2],
}

/// Each input pixel times the kernel, laid down where its stride takes it; the sums of what overlaps.
#[derive(Debug, Clone)]
pub struct ConvTranspose {
    /// As a convolution has them: weights by output plane, then by plane read. The stride is that of the
    /// output, the padding is cut off from it.
    pub conv: Conv,
    /// Rows below, columns right that are added to the result.
    pub output_padding: [usize; 2],
}

/// A mean of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePool {
    /// Kernel, stride, padding.
    pub window: Window,
    /// Whether the zeros outside the picture count as pixels.
    pub counts_padding: bool,
}

/// Size of a resized picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ResizeTo {
    /// Output rows per input row, columns per column; the output size is rounded down.
    Scales([f32; 2]),
    /// Rows, columns.
    Size([usize; 2]),
}

/// A bilinear resize.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResizeLinear {
    /// Size of the result.
    pub to: ResizeTo,
    /// Where its pixels lie in the input.
    pub coordinates: Coordinates,
}

/// Where pixel `at` of the output lies in the input; ONNX's `coordinate_transformation_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// `(at + 0.5) / scale - 0.5`: the pictures' edges meet.
    HalfPixel,
    /// The same, but 0 where the output has one pixel only.
    PytorchHalfPixel,
    /// `at * (input len - 1) / (output len - 1)`: the outermost pixels' centres meet.
    AlignCorners,
    /// `at / scale`: the first pixels' centres meet.
    Asymmetric,
}

impl Op {
    /// ONNX's name of it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "Conv",
            Self::ConvTranspose(_) => "ConvTranspose",
            Self::Add => "Add",
            Self::Mul => "Mul",
            Self::Concat => "Concat",
            Self::MaxPool(_) => "MaxPool",
            Self::AveragePool(_) => "AveragePool",
            Self::GlobalAveragePool => "GlobalAveragePool",
            Self::Resize(_) | Self::ResizeLinear(_) => "Resize",
            Self::Softmax => "Softmax",
            Self::ArgMax => "ArgMax",
            Self::Copy => "quantiser",
        }
    }
}

impl Conv {
    /// One input plane for each output plane.
    #[must_use]
    pub fn is_depthwise(&self) -> bool {
        self.group_channels == 1 && self.groups == self.out_channels
    }
}

impl Window {
    /// Rows and columns of windows that fit; `None` if not even one does.
    #[must_use]
    pub fn output_size(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let padded = size[axis] + self.padding[axis] + self.padding[axis + 2];
            Some(padded.checked_sub(self.extent()[axis])? / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// From the first to behind the last position that the window of output position `at` covers on the picture,
    /// along one axis.
    #[must_use]
    pub fn inside(&self, axis: usize, at: usize, len: usize) -> std::ops::Range<usize> {
        let start = at * self.stride[axis];
        let end = (start + self.extent()[axis]).saturating_sub(self.padding[axis]);
        start.saturating_sub(self.padding[axis])..end.min(len)
    }

    /// Rows and columns from the first to the last tap.
    #[must_use]
    pub fn extent(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.kernel[axis] - 1) * self.dilation[axis] + 1)
    }
}

impl ConvTranspose {
    /// Rows and columns of the result; `None` if everything is cut off.
    #[must_use]
    pub fn output_size(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let window = &self.conv.window;
        let along = |axis: usize| {
            let laid = (size[axis] - 1) * window.stride[axis] + window.extent()[axis];
            let cut = window.padding[axis] + window.padding[axis + 2];
            (laid + self.output_padding[axis]).checked_sub(cut).filter(|&len| len > 0)
        };
        Some([along(0)?, along(1)?])
    }
}

impl ConvTranspose {
    /// From the first to behind the last input position whose kernel lies on output position `at`, along one axis.
    #[must_use]
    pub fn inside(&self, axis: usize, at: usize, len: usize) -> std::ops::Range<usize> {
        let Window { stride, padding, .. } = self.conv.window;
        let (laid, extent) = (at + padding[axis], self.conv.window.extent()[axis]);
        (laid + 1).saturating_sub(extent).div_ceil(stride[axis])..(laid / stride[axis] + 1).min(len)
    }
}

impl ResizeTo {
    /// Rows and columns of the result.
    #[must_use]
    pub fn size(&self, size: [usize; 2]) -> [usize; 2] {
        match *self {
            Self::Size(size) => size,
            Self::Scales(scales) => [0, 1].map(|axis| floor(size[axis] as f32 * scales[axis])),
        }
    }

    /// The input row (axis 0) or column (axis 1) that output position `at` copies, of `len` in all.
    ///
    /// ONNX's `asymmetric` with `floor`, in float32 as onnxruntime computes it.
    #[must_use]
    pub fn source(&self, axis: usize, at: usize, len: usize) -> usize {
        floor(at as f32 / self.scale(axis, len)).min(len - 1)
    }

    /// Output rows (axis 0) or columns (axis 1) for each of `len` in the input.
    fn scale(&self, axis: usize, len: usize) -> f32 {
        match *self {
            Self::Scales(scales) => scales[axis],
            Self::Size(size) => size[axis] as f32 / len as f32,
        }
    }
}

impl ResizeLinear {
    /// The two input rows (axis 0) or columns (axis 1) that output position `at` lies between, and how far
    /// it is from the first to the second, 0 to 1; in float32 as onnxruntime computes it.
    #[must_use]
    pub fn between(&self, axis: usize, at: usize, len: usize) -> ([usize; 2], f32) {
        let scale = self.to.scale(axis, len);
        let made = match self.to {
            ResizeTo::Scales(_) => floor(len as f32 * scale),
            ResizeTo::Size(size) => size[axis],
        };
        let half_pixel = (at as f32 + 0.5) / scale - 0.5;
        let position = match self.coordinates {
            Coordinates::HalfPixel => half_pixel,
            Coordinates::Asymmetric => at as f32 / scale,
            Coordinates::PytorchHalfPixel | Coordinates::AlignCorners if made == 1 => 0.0,
            Coordinates::PytorchHalfPixel => half_pixel,
            Coordinates::AlignCorners => at as f32 * (len - 1) as f32 / (made - 1) as f32,
        };
        let position = position.clamp(0.0, (len - 1) as f32);
        let first = floor(position);
        ([first, (first + 1).min(len - 1)], position - first as f32)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position in a picture, never negative; what is too large saturates and is refused by `check_size`"
)]
fn floor(position: f32) -> usize {
    position.floor() as usize
}
