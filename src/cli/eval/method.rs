//! What is judged: anything that gives every pixel a score, or a yes and no.

use qsegment::emulator::Network;
use qsegment::evaluation::{
    Counts, area_under_roc, best_threshold, interval_of_pooled_dice, ridge,
};
use qsegment::pipeline::geometry::Size;
use qsegment::pipeline::vessels;

use super::dataset::Example;
use super::grid::Grid;
use super::rows::{Figures, PerPicture, Region};
use crate::cli::segment::whole_frame::{Said, WholeFrame, quant};

/// One picture's part of the work, small enough to keep for all of them.
#[derive(Debug)]
pub(super) struct Judged {
    truth: Vec<bool>,
    field: Vec<bool>,
    second: Option<Vec<bool>>,
    network: Vec<f32>,
    ridge: Vec<f32>,
}

/// The network that is judged.
pub(super) struct Judge {
    whole_frame: WholeFrame,
    probability: [f32; 256],
}

impl Judge {
    pub(super) fn new(network: &Network) -> anyhow::Result<Self> {
        let probability = vessels::exact_probabilities(quant(network));
        Ok(Self { whole_frame: WholeFrame::new(network)?, probability })
    }
}

impl Judged {
    /// With a `grid`, what was judged is drawn there.
    pub(super) fn new(example: Example, network: &mut Judge, grid: Option<&mut Grid>) -> Self {
        let size = Size::new(example.picture.width(), example.picture.height());
        let size = size.expect("no picture is empty");
        let scores =
            spread(&network.whole_frame.look(&example.picture), &network.probability, size);
        let mut ridge = ridge(example.picture.rgb(), size.width());
        // The disc's rim is a line, too, and everybody can see where the disc ends.
        for (ridge, inside) in ridge.iter_mut().zip(&example.field) {
            *ridge = if *inside { *ridge } else { 0.0 };
        }
        if let Some(grid) = grid {
            grid.push(&example, &scores);
        }
        let Example { truth, field, second, .. } = example;
        Self { truth, field, second, network: scores, ridge }
    }

    /// The network's probabilities.
    pub(super) fn network(&self) -> &[f32] {
        &self.network
    }

    /// The ridge filter's answers, 0 and up.
    pub(super) fn ridge(&self) -> &[f32] {
        &self.ridge
    }

    /// Vessels as the second observer drew them.
    pub(super) fn second(&self) -> Option<&[bool]> {
        self.second.as_deref()
    }

    fn inside<'a, T: Copy>(
        &'a self,
        region: Region,
        values: &'a [T],
    ) -> impl Iterator<Item = (T, bool)> + 'a {
        let pixels = values.iter().zip(&self.truth).zip(&self.field);
        let wanted = pixels.filter(move |(_, inside)| region == Region::Frame || **inside);
        wanted.map(|((value, truth), _)| (*value, *truth))
    }
}

/// Probabilities back on the picture, bilinear with half-pixel centres, 0.0 to 1.0.
fn spread(said: &Said<'_>, probability: &[f32; 256], size: Size) -> Vec<f32> {
    let columns = said.back.column_taps(said.size, size);
    let rows = said.back.row_taps(said.size, size);
    let width = said.size.width();
    let mut scores = Vec::with_capacity(size.pixels());
    for row in &rows {
        let [upper, lower] = [row.first, row.second].map(|y| &said.stored[y * width..][..width]);
        for column in &columns {
            let across = |line: &[u8]| {
                let [left, right] =
                    [column.first, column.second].map(|x| probability[usize::from(line[x])]);
                left + (right - left) * f32::from(column.weight) / TAP
            };
            let (upper, lower) = (across(upper), across(lower));
            scores.push(upper + (lower - upper) * f32::from(row.weight) / TAP);
        }
    }
    scores
}

/// Weights of taps are of this.
const TAP: f32 = 256.0;

/// The figures of scores: at `threshold`, and over all thresholds.
pub(super) fn of_scores(
    judged: &[Judged],
    region: Region,
    threshold: f32,
    scores: impl Fn(&Judged) -> &[f32],
) -> Figures {
    let mut pooled: Vec<(f32, bool)> = Vec::new();
    let mut counts = Vec::new();
    let mut areas = Vec::new();
    for picture in judged {
        let mut pixels: Vec<_> = picture.inside(region, scores(picture)).collect();
        counts.push(Counts::of(pixels.iter().map(|&(score, truth)| (score >= threshold, truth))));
        pooled.extend_from_slice(&pixels);
        areas.push(area_under_roc(&mut pixels));
    }
    Figures { auc: Some(area_under_roc(&mut pooled)), ..figures(&counts, Some(&areas)) }
}

/// The figures of a drawn mask.
pub(super) fn of_masks<'a>(
    judged: &'a [Judged],
    region: Region,
    masks: impl Fn(&'a Judged) -> Option<&'a [bool]>,
) -> Option<Figures> {
    let counts: Option<Vec<_>> = judged
        .iter()
        .map(|picture| Some(Counts::of(picture.inside(region, masks(picture)?))))
        .collect();
    counts.map(|counts| figures(&counts, None))
}

/// The figures of a mask without any vessel; every score being equal, its area is one half.
pub(super) fn of_nothing(judged: &[Judged], region: Region) -> Figures {
    let empty = |picture: &Judged| {
        Counts::of(picture.inside(region, &picture.truth).map(|(truth, _)| (false, truth)))
    };
    let counts: Vec<_> = judged.iter().map(empty).collect();
    Figures { auc: Some(0.5), ..figures(&counts, None) }
}

/// The threshold that is best on these pictures.
pub(super) fn threshold(judged: &[Judged], scores: impl Fn(&Judged) -> &[f32]) -> Option<f32> {
    let mut pixels: Vec<_> =
        judged.iter().flat_map(|picture| picture.inside(Region::Frame, scores(picture))).collect();
    best_threshold(&mut pixels)
}

fn figures(counts: &[Counts], areas: Option<&[f64]>) -> Figures {
    let pooled: Counts = counts.iter().copied().sum();
    let of =
        |ratio: fn(&Counts) -> f64| PerPicture::of(&counts.iter().map(ratio).collect::<Vec<_>>());
    Figures {
        dice: pooled.dice(),
        dice_interval: interval_of_pooled_dice(counts),
        accuracy: pooled.accuracy(),
        sensitivity: Some(pooled.sensitivity()),
        specificity: Some(pooled.specificity()),
        mcc: Some(pooled.matthews()),
        auc: None,
        dice_per_picture: of(Counts::dice),
        accuracy_per_picture: of(Counts::accuracy),
        sensitivity_per_picture: of(Counts::sensitivity),
        specificity_per_picture: of(Counts::specificity),
        mcc_per_picture: of(Counts::matthews),
        auc_per_picture: areas.and_then(PerPicture::of),
    }
}
