//! The non-learned floor: how dark and line-like each pixel is, by the Hessian at several scales.

/// Row-major, 0 and up: across a dark line the green channel bends upwards, so the larger eigenvalue of its
/// Hessian is large and positive. The largest over the scales, each made comparable by sigma squared. `rgb` is
/// `width * height * 3` bytes.
#[must_use]
pub fn ridge(rgb: &[u8], width: usize) -> Vec<f32> {
    let green: Vec<f32> = rgb.chunks_exact(3).map(|pixel| f32::from(pixel[1]) / 255.0).collect();
    let mut strongest = vec![0.0_f32; green.len()];
    for sigma in SIGMAS {
        let kernels = Kernels::new(sigma);
        let across = |along: &[f32], down: &[f32]| {
            let rows = along_rows(&green, width, along);
            down_columns(&rows, width, down)
        };
        let xx = across(&kernels.second, &kernels.smooth);
        let yy = across(&kernels.smooth, &kernels.second);
        let xy = across(&kernels.first, &kernels.first);
        for (i, strongest) in strongest.iter_mut().enumerate() {
            let half = (xx[i] - yy[i]) / 2.0;
            let larger = (xx[i] + yy[i]) / 2.0 + half.hypot(xy[i]);
            *strongest = strongest.max(larger * sigma * sigma);
        }
    }
    strongest
}

/// A Gaussian and its derivatives, sampled.
struct Kernels {
    smooth: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Kernels {
    fn new(sigma: f32) -> Self {
        let variance = sigma * sigma;
        let mut offsets = Vec::new();
        let mut at = 0.0_f32;
        while at <= REACH * sigma {
            offsets.push(at);
            at += 1.0;
        }
        let offsets: Vec<f32> =
            offsets.iter().skip(1).rev().map(|at| -at).chain(offsets.iter().copied()).collect();
        let bell = |x: f32| (-x * x / (2.0 * variance)).exp();
        let sum: f32 = offsets.iter().map(|&x| bell(x)).sum();
        let smooth: Vec<f32> = offsets.iter().map(|&x| bell(x) / sum).collect();
        let times = |factor: &dyn Fn(f32) -> f32| -> Vec<f32> {
            offsets.iter().zip(&smooth).map(|(&x, weight)| factor(x) * weight).collect()
        };
        // Sums of the sign only: a correlation turns the first derivative round.
        let first = times(&|x| x / variance);
        let mut second = times(&|x| (x * x / variance - 1.0) / variance);
        // A flat picture bends nowhere.
        let mean = second.iter().sum::<f32>();
        for (weight, smooth) in second.iter_mut().zip(&smooth) {
            *weight -= mean * smooth;
        }
        Self { smooth, first, second }
    }
}

/// Beyond the edge the picture goes on as it ends.
fn along_rows(picture: &[f32], width: usize, kernel: &[f32]) -> Vec<f32> {
    let reach = kernel.len() / 2;
    let mut padded = vec![0.0; width + 2 * reach];
    let mut out = Vec::with_capacity(picture.len());
    for row in picture.chunks_exact(width) {
        padded[..reach].fill(row[0]);
        padded[reach..][..width].copy_from_slice(row);
        padded[reach + width..].fill(row[width - 1]);
        let sums = padded.windows(kernel.len());
        out.extend(sums.map(|seen| seen.iter().zip(kernel).map(|(a, b)| a * b).sum::<f32>()));
    }
    out
}

fn down_columns(picture: &[f32], width: usize, kernel: &[f32]) -> Vec<f32> {
    let (height, reach) = (picture.len() / width, kernel.len() / 2);
    let mut out = vec![0.0; picture.len()];
    for (y, sums) in out.chunks_exact_mut(width).enumerate() {
        for (i, weight) in kernel.iter().enumerate() {
            let from = (y + i).saturating_sub(reach).min(height - 1);
            for (sum, value) in sums.iter_mut().zip(&picture[from * width..][..width]) {
                *sum += weight * value;
            }
        }
    }
    out
}

/// Pixels; vessels of CHASE_DB1 at 960 are 2 to 15 wide.
const SIGMAS: [f32; 4] = [2.0, 3.0, 4.5, 6.0];
/// In sigmas; beyond it a Gaussian weighs less than 1/2900 of its middle.
const REACH: f32 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(dark: impl Fn(usize, usize) -> bool) -> Vec<f32> {
        let side = 61;
        let pixel = |i: usize| if dark(i % side, i / side) { [60; 3] } else { [160; 3] };
        let rgb: Vec<u8> = (0..side * side).flat_map(pixel).collect();
        ridge(&rgb, side)
    }

    #[test]
    fn a_dark_line_stands_out_in_every_direction_and_a_flat_picture_does_not() {
        let middle = 30 * 61 + 30;
        let flat = picture(|_, _| false);
        assert!(flat.iter().all(|&value| value.abs() < 1e-4), "{}", flat[middle]);
        let lines: [&dyn Fn(usize, usize) -> bool; 3] =
            [&|x, _| x.abs_diff(30) <= 2, &|_, y| y.abs_diff(30) <= 2, &|x, y| x.abs_diff(y) <= 3];
        for dark in lines {
            let found = picture(dark);
            assert!(found[middle] > 0.1, "{}", found[middle]);
            assert!(found[middle] > 3.0 * found[10 * 61 + 45], "{}", found[10 * 61 + 45]);
        }
    }
}
