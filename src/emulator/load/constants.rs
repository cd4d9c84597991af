//! Values of the file's constant tensors, and the weights quantised.

use super::{model, refused};
use crate::emulator::LoadError;
use crate::emulator::onnx::{NodeProto, TensorProto, data_type};

/// Values of a float32 tensor, as many as its shape says.
pub(super) fn floats(tensor: &TensorProto) -> Result<Vec<f32>, LoadError> {
    check_type(tensor, data_type::FLOAT)?;
    let values = if tensor.raw_data.is_empty() {
        tensor.float_data.clone()
    } else {
        raw(tensor)?.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    };
    check_len(tensor, values.len())?;
    Ok(values)
}

/// Values of an int64 tensor, as many as its shape says.
pub(super) fn integers(tensor: &TensorProto) -> Result<Vec<i64>, LoadError> {
    check_type(tensor, data_type::INT64)?;
    let values = if tensor.raw_data.is_empty() {
        tensor.int64_data.clone()
    } else {
        raw(tensor)?.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect()
    };
    check_len(tensor, values.len())?;
    Ok(values)
}

/// Stored integers of up to 32 bits and the data type they have in the file.
pub(super) struct Codes {
    pub(super) kind: i32,
    pub(super) values: Vec<i32>,
}

/// Values of an int8, uint8 or int32 tensor, as many as its shape says.
pub(super) fn codes(tensor: &TensorProto) -> Result<Codes, LoadError> {
    let kind = tensor.data_type;
    let values = match kind {
        _ if tensor.raw_data.is_empty() => tensor.int32_data.clone(),
        data_type::INT32 => raw(tensor)?.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect(),
        data_type::INT8 => {
            tensor.raw_data.iter().map(|byte| i32::from(byte.cast_signed())).collect()
        }
        _ => tensor.raw_data.iter().map(|&byte| i32::from(byte)).collect::<Vec<i32>>(),
    };
    let range = match kind {
        data_type::INT8 => -128..=127,
        data_type::UINT8 => 0..=255,
        data_type::INT32 => i32::MIN..=i32::MAX,
        other => {
            let wanted = "2 (uint8), 3 (int8), or 6 (int32) for a bias";
            return Err(model(
                &format!("constant {:?}", tensor.name),
                format!("data type {other}"),
                wanted,
            ));
        }
    };
    check_type(tensor, kind)?;
    check_len(tensor, values.len())?;
    if let Some(odd) = values.iter().find(|value| !range.contains(value)) {
        return Err(model(
            &format!("constant {:?}", tensor.name),
            odd,
            &format!("values within {range:?}"),
        ));
    }
    Ok(Codes { kind, values })
}

fn check_type(tensor: &TensorProto, wanted: i32) -> Result<(), LoadError> {
    let what = format!("constant {:?}", tensor.name);
    if tensor.data_location != 0 {
        return Err(model(&what, "values kept in another file", "one file with everything"));
    }
    if tensor.data_type != wanted {
        return Err(model(&what, format!("data type {}", tensor.data_type), &wanted.to_string()));
    }
    Ok(())
}

fn raw<const N: usize>(tensor: &TensorProto) -> Result<&[[u8; N]], LoadError> {
    match tensor.raw_data.as_chunks() {
        (values, []) => Ok(values),
        _ => Err(model(
            &format!("constant {:?}", tensor.name),
            format!("{} bytes of values", tensor.raw_data.len()),
            &format!("{N} bytes for each"),
        )),
    }
}

fn check_len(tensor: &TensorProto, found: usize) -> Result<(), LoadError> {
    let mut sides = tensor.dims.iter().map(|&n| usize::try_from(n).ok());
    let wanted = sides.try_fold(1_usize, |product, side| product.checked_mul(side?));
    if wanted == Some(found) {
        return Ok(());
    }
    Err(model(
        &format!("constant {:?}", tensor.name),
        format!("{found} values"),
        &format!("as many as its shape {:?} has", tensor.dims),
    ))
}

/// Real value of a weight's step, one or one for each output channel: threshold / 128, exact in float32.
pub(super) fn weight_scales(
    node: &NodeProto,
    thresholds: &TensorProto,
    channels: i64,
) -> Result<Vec<f32>, LoadError> {
    let thresholds = floats(thresholds)?;
    if let Some(odd) = thresholds.iter().find(|t| !WEIGHT_THRESHOLDS.contains(*t)) {
        return Err(refused(
            node,
            format!("threshold {odd}"),
            &format!("within {WEIGHT_THRESHOLDS:?}"),
        ));
    }
    match thresholds.as_slice() {
        &[threshold] => Ok(vec![threshold / 128.0]),
        all if i64::try_from(all.len()) == Ok(channels) => {
            Ok(all.iter().map(|threshold| threshold / 128.0).collect())
        }
        all => Err(refused(
            node,
            format!("{} thresholds", all.len()),
            &format!("one, or one for each of {channels} output channels"),
        )),
    }
}

/// Keeps the product of an activation's and a weight's scale a normal float32.
const WEIGHT_THRESHOLDS: std::ops::RangeInclusive<f32> = 1e-20..=1e20;
