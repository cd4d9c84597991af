//! What is judged: anything that gives every pixel a score, or a yes and no.

use qsegment::emulator::Network;
use qsegment::evaluation::{Counts, Scores, interval_of_pooled_dice, ridge};
use qsegment::pipeline::geometry::Size;
use qsegment::pipeline::host::quant;
use qsegment::pipeline::vessels;

use super::dataset::Example;
use super::grid::Grid;
use super::rows::{Figures, PerPicture, Region};
use crate::cli::segment::whole_frame::{Said, WholeFrame};

/// What is kept of one picture: a few megabytes, however large it is.
#[derive(Debug)]
pub(super) struct Judged {
    frame: Part,
    fov: Part,
}

/// The same of one region.
#[derive(Debug)]
struct Part {
    network: Scores,
    /// None where nothing says at which threshold it is best.
    ridge: Option<Scores>,
    second: Option<Counts>,
    nothing: Counts,
}

/// What is done with each picture beside the network.
pub(super) struct Also<'a> {
    /// Whether the ridge filter runs, too, which takes longer than the network.
    pub(super) ridge: bool,
    /// Where it is drawn.
    pub(super) grid: Option<&'a mut Grid>,
}

impl Judged {
    pub(super) fn new(example: &Example, network: &mut Judge, also: Also<'_>) -> Self {
        let scores = network.scores(example);
        let ridge = also.ridge.then(|| {
            let mut ridge = ridge(example.picture.rgb(), example.picture.width());
            // The disc's rim is a line, too, and everybody can see where the disc ends.
            for (ridge, inside) in ridge.iter_mut().zip(&example.field) {
                *ridge = if *inside { *ridge } else { 0.0 };
            }
            ridge
        });
        if let Some(grid) = also.grid {
            grid.push(example, &scores);
        }
        let part = |region| Part {
            network: Scores::of(inside(example, region, &scores)),
            ridge: ridge.as_ref().map(|ridge| Scores::of(inside(example, region, ridge))),
            second: example.second.as_ref().map(|mask| Counts::of(inside(example, region, mask))),
            nothing: Counts::of(
                inside(example, region, &example.truth).map(|(_, truth)| (false, truth)),
            ),
        };
        Self { frame: part(Region::Frame), fov: part(Region::Fov) }
    }

    fn part(&self, region: Region) -> &Part {
        match region {
            Region::Frame => &self.frame,
            Region::Fov => &self.fov,
        }
    }

    /// The network's scores.
    pub(super) fn network(&self, region: Region) -> Option<&Scores> {
        Some(&self.part(region).network)
    }

    /// The ridge filter's.
    pub(super) fn ridge(&self, region: Region) -> Option<&Scores> {
        self.part(region).ridge.as_ref()
    }
}

/// Pairs of a value and the truth.
fn inside<'a, T: Copy>(
    example: &'a Example,
    region: Region,
    values: &'a [T],
) -> impl Iterator<Item = (T, bool)> + 'a {
    let pixels = values.iter().zip(&example.truth).zip(&example.field);
    let wanted = pixels.filter(move |(_, inside)| region == Region::Frame || **inside);
    wanted.map(|((value, truth), _)| (*value, *truth))
}

/// The network that is judged.
pub(super) struct Judge {
    whole_frame: WholeFrame,
    probability: [f32; 256],
}

impl Judge {
    pub(super) fn new(network: &Network) -> anyhow::Result<Self> {
        let probability = vessels::exact_probabilities(quant(network)?);
        Ok(Self { whole_frame: WholeFrame::new(network)?, probability })
    }

    /// Probabilities back on the picture, 0.0 to 1.0.
    pub(super) fn scores(&mut self, example: &Example) -> Vec<f32> {
        let size = Size::new(example.picture.width(), example.picture.height());
        let size = size.expect("no picture is empty");
        spread(&self.whole_frame.look(&example.picture), &self.probability, size)
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

/// The figures of scores: at `threshold`, and over all thresholds. None where there are none.
pub(super) fn of_scores(
    judged: &[Judged],
    region: Region,
    threshold: f32,
    scores: fn(&Judged, Region) -> Option<&Scores>,
) -> Option<Figures> {
    let each = judged.iter().map(|picture| scores(picture, region)).collect::<Option<Vec<_>>>()?;
    let counts: Vec<_> = each.iter().map(|scores| scores.counts_at(threshold)).collect();
    let areas: Vec<_> = each.iter().map(|scores| scores.area_under_roc()).collect();
    let pooled: Scores = each.into_iter().sum();
    Some(Figures { auc: Some(pooled.area_under_roc()), ..figures(&counts, Some(&areas)) })
}

/// The figures of the second observer; none where there is none.
pub(super) fn of_second(judged: &[Judged], region: Region) -> Option<Figures> {
    let counts = judged.iter().map(|picture| picture.part(region).second);
    Some(figures(&counts.collect::<Option<Vec<_>>>()?, None))
}

/// The figures of a mask without any vessel; every score being equal, its area is one half.
pub(super) fn of_nothing(judged: &[Judged], region: Region) -> Figures {
    let counts: Vec<_> = judged.iter().map(|picture| picture.part(region).nothing).collect();
    Figures { auc: Some(0.5), ..figures(&counts, None) }
}

/// The threshold that is best on these pictures, whole frame. None without pictures.
pub(super) fn threshold(
    judged: &[Judged],
    scores: fn(&Judged, Region) -> Option<&Scores>,
) -> Option<f32> {
    let each = judged.iter().filter_map(|picture| scores(picture, Region::Frame));
    each.sum::<Scores>().best_threshold()
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
