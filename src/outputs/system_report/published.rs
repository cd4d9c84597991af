//! What others have published, each number once and with its source. Nothing here was measured by us.

/// One row of Table III of the paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Published {
    /// As the paper calls it.
    pub(super) platform: &'static str,
    /// Milliseconds.
    pub(super) latency_ms: f64,
    /// Milliwatts.
    pub(super) power_mw: f64,
    /// Of the network, where it is known here.
    pub(super) parameters: Option<f64>,
    /// What the paper says the row is, and what it leaves open.
    pub(super) remark: &'static str,
}

impl Published {
    /// Energy of a frame: latency times power, which supposes that this power is drawn for this time.
    #[must_use]
    pub(super) fn millijoules(self) -> f64 {
        self.latency_ms * self.power_mw / 1e3
    }
}

/// The network in the sensor alone, as the paper has it.
pub(super) const IMX500: Published = Published {
    platform: "IMX-500",
    latency_ms: 0.23,
    power_mw: 71.94,
    parameters: Some(Q_SEGMENT_PARAMETERS),
    remark: "network only; instrument, rail, averaging and input size are not stated",
};

/// From read-out to result, as the paper has it.
pub(super) const IMX500_FULL: Published = Published {
    platform: "IMX-500-Full",
    latency_ms: 17.21,
    power_mw: 254.60,
    parameters: Some(Q_SEGMENT_PARAMETERS),
    remark: "\"end-to-end\"; sensor mode, exposure and where it ends are not stated",
};

/// Table III, as far as it is used here. Its latencies and powers; energy is ours.
pub(super) const TABLE_III: [Published; 5] = [
    IMX500,
    IMX500_FULL,
    Published {
        platform: "M4F",
        latency_ms: 126.25,
        power_mw: 82.69,
        parameters: None,
        remark: "Arm Cortex-M4F",
    },
    Published {
        platform: "Spresense",
        latency_ms: 143.75,
        power_mw: 448.0,
        parameters: None,
        remark: "Sony Spresense",
    },
    Published {
        platform: "ERFNet on Jetson",
        latency_ms: 14.28,
        power_mw: 6000.0,
        parameters: None,
        remark: "another, larger network on a GPU board",
    },
];

/// The paper.
pub(super) const PAPER: &str = "arXiv 2312.09854, Table III";

/// "0.104 M".
pub(super) const Q_SEGMENT_PARAMETERS: f64 = 104_000.0;

/// Side of the input at which the paper gives its accuracy, in pixels.
pub(super) const PAPER_INPUT_SIDE: usize = 960;

/// Where Sony describes the sensor.
pub(super) const ISSCC: &str = "ISSCC 2021, IEEE 9365965";

/// Multiply-accumulate units of the sensor's DSP.
pub(super) const DSP_MACS_PER_CYCLE: f64 = 2304.0;

/// Its clock.
pub(super) const DSP_HERTZ: f64 = 262.5e6;

/// Read-out of 4056 x 3040 as Sony has it; the kernel driver's mode takes longer.
pub(super) const SONY_READ_OUT_FULL_MS: f64 = 16.52;

/// The same of 2028 x 1520.
pub(super) const SONY_READ_OUT_BINNED_MS: f64 = 5.52;

/// Largest side of the sensor's input tensor.
pub(super) const LARGEST_INPUT_SIDE: usize = 640;
