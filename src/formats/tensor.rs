//! What a tensor's stored integers mean: signedness, scale, zero point.

/// `real = (stored - zero_point) * scale`. ApParams call the zero point `shift`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct QuantParams {
    /// Real value of one step.
    pub scale: f32,
    /// Stored value that means 0.0.
    pub zero_point: u16,
    /// Whether the stored integers are two's complement.
    pub signed: bool,
}

impl QuantParams {
    /// `(stored - zero_point) * scale`.
    #[must_use]
    pub fn real(&self, stored: impl Into<i64>) -> f32 {
        // Widen first: neither i8::MIN - 300 nor u32::MAX fits into the stored type's signed kin.
        // The difference is then rounded to f32 once, and the product once.
        (stored.into() - i64::from(self.zero_point)) as f32 * self.scale
    }
}

/// One axis of a tensor, as ApParams describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Dimension {
    /// Number of the axis in natural order: C, H, W are 0, 1, 2.
    pub ordinal: u8,
    /// Elements along the axis.
    pub size: u16,
    /// Place in memory order: 0 varies fastest.
    pub serialization_index: u8,
    /// Elements added after `size` along this axis.
    pub padding: u8,
}
