//! Steps whose rows stream through one another, and the threads that share them.
//!
//! ```text
//!   thread 0   rows   0 to 159 of what the stage makes      rows of its own for everything in between,
//!   thread 1   rows 160 to 319                              some of which both of them compute
//!              ------------------------------------------
//!              then the next stage reads the rows of both
//! ```

use std::ops::Range;

use super::map::Map;
use super::schedule::{Event, schedule};
use super::step::Step;
use crate::emulator::kernels::SLACK;

#[derive(Debug)]
pub(super) struct Stage {
    /// One for each thread.
    pub(super) bands: Vec<Band>,
}

/// One thread's share of a stage.
#[derive(Debug)]
pub(super) struct Band {
    events: Vec<Event>,
    /// By tensor: its last rows.
    rings: Vec<Ring>,
    /// Tensors that later stages read.
    kept: Vec<Kept>,
    /// Rows of the network's output as stored bytes C, H, W, if they are made here.
    made: Option<Kept>,
    scratch: Scratch,
}

/// Room for what a step makes on its way.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Rows in 16 bits.
    pub(super) widened: Vec<i16>,
    /// A row before its pixels are laid out.
    pub(super) spare: Vec<u8>,
}

#[derive(Debug, Default)]
struct Ring {
    bytes: Vec<u8>,
    rows: usize,
}

#[derive(Debug)]
struct Kept {
    tensor: usize,
    rows: Range<usize>,
    bytes: Vec<u8>,
}

/// What all bands of a frame read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) maps: &'a [Map],
    pub(super) steps: &'a [Step],
    /// Stored bytes C, H, W.
    pub(super) input: &'a [u8],
    /// Rows above and below a picture, by whether zero is stored as 128.
    pub(super) zeros: &'a [Vec<u8>; 2],
    /// The stages before this one.
    pub(super) done: &'a [Stage],
}

impl Stage {
    pub(super) fn new(
        maps: &[Map],
        steps: &[Step],
        range: Range<usize>,
        results: &Results,
        threads: usize,
    ) -> Self {
        let band = |thread: usize| {
            let wanted = results.shares(maps, thread, threads);
            Band::new(maps, (&steps[range.clone()], range.start), results, &wanted)
        };
        Self { bands: (0..threads).map(band).collect() }
    }

    /// Copies the rows of the network's output that this stage makes to stored bytes C, H, W.
    pub(super) fn deliver(&self, map: &Map, output: &mut [u8]) {
        for Kept { rows, bytes, .. } in self.bands.iter().filter_map(|band| band.made.as_ref()) {
            let planes = output.chunks_exact_mut(map.height * map.width);
            for (to, from) in planes.zip(bytes.chunks_exact((rows.len() * map.width).max(1))) {
                to[rows.start * map.width..rows.end * map.width].copy_from_slice(from);
            }
        }
    }

    /// Row `y` of a tensor that this stage keeps.
    pub(super) fn row(&self, maps: &[Map], tensor: usize, y: usize) -> Option<&[u8]> {
        self.bands.iter().flat_map(|band| &band.kept).find_map(|kept| {
            let here = kept.tensor == tensor && kept.rows.contains(&y);
            here.then(|| row_of(&kept.bytes, &maps[tensor], y - kept.rows.start))
        })
    }
}

/// Tensors that outlive their stage.
#[derive(Debug)]
pub(super) struct Results {
    /// Those that later stages read.
    pub(super) kept: Vec<usize>,
    /// The network's output, if it is made here.
    pub(super) output: Option<usize>,
}

impl Results {
    /// The rows of each tensor that a thread makes for others.
    pub(super) fn shares(&self, maps: &[Map], thread: usize, threads: usize) -> Vec<Range<usize>> {
        let mut shares = vec![0..0; maps.len()];
        for &tensor in self.kept.iter().chain(&self.output) {
            let height = maps[tensor].height;
            shares[tensor] = height * thread / threads..height * (thread + 1) / threads;
        }
        shares
    }
}

impl Band {
    fn new(
        maps: &[Map],
        (steps, first): (&[Step], usize),
        results: &Results,
        wanted: &[Range<usize>],
    ) -> Self {
        let schedule = schedule(steps, first, wanted);
        let ring = |(map, &rows): (&Map, &usize)| Ring { bytes: buffer(map, rows), rows };
        let kept = |&tensor: &usize| {
            let rows = wanted[tensor].clone();
            Kept { tensor, bytes: buffer(&maps[tensor], rows.len()), rows }
        };
        let made = |tensor: usize| {
            let (rows, Map { channels, width, .. }) = (wanted[tensor].clone(), &maps[tensor]);
            Kept { tensor, bytes: vec![0; channels * rows.len() * width], rows }
        };
        let widened = steps.iter().map(|step| step.scratch_len(maps)).max().unwrap_or(0);
        let spare = steps.iter().map(|step| step.spare_len(maps)).max().unwrap_or(0);
        Self {
            events: schedule.events,
            rings: maps.iter().zip(&schedule.spans).map(ring).collect(),
            kept: results.kept.iter().map(kept).collect(),
            made: results.output.map(made),
            scratch: Scratch { widened: vec![0; widened], spare: vec![0; spare] },
        }
    }

    pub(super) fn run(&mut self, frame: Frame<'_>) {
        for &Event { step, row: y } in &self.events {
            let step = &frame.steps[step];
            let map = &frame.maps[step.output];
            let ring = &mut self.rings[step.output];
            let slot = y % ring.rows * map.row_len();
            // Taken out so that it can be written while others are read; a Vec moves without allocation.
            let mut bytes = std::mem::take(&mut ring.bytes);
            let row = &mut bytes[slot..slot + map.row_len()];
            step.row(y, Source { frame, rings: &self.rings }, row, &mut self.scratch);
            map.clear_border(row);
            for kept in &mut self.kept {
                if kept.tensor == step.output && kept.rows.contains(&y) {
                    let start = (y - kept.rows.start) * map.row_len();
                    kept.bytes[start..start + map.row_len()].copy_from_slice(row);
                }
            }
            if let Some(Kept { tensor, rows, bytes }) = &mut self.made
                && *tensor == step.output
                && rows.contains(&y)
            {
                map.pack(row, bytes, (y - rows.start, rows.len()));
            }
            self.rings[step.output].bytes = bytes;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let rings = self.rings.iter().map(|ring| ring.bytes.len());
        let kept = self.kept.iter().chain(&self.made).map(|kept| kept.bytes.len());
        let scratch = size_of_val(self.scratch.widened.as_slice()) + self.scratch.spare.len();
        rings.chain(kept).sum::<usize>() + scratch
    }
}

fn buffer(map: &Map, rows: usize) -> Vec<u8> {
    if rows == 0 { Vec::new() } else { vec![map.zero; rows * map.row_len() + SLACK] }
}

fn row_of<'a>(bytes: &'a [u8], map: &Map, row: usize) -> &'a [u8] {
    &bytes[row * map.row_len()..(row + 1) * map.row_len() + SLACK]
}

/// Where a step finds the rows that it reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    frame: Frame<'a>,
    rings: &'a [Ring],
}

impl<'a> Source<'a> {
    pub(super) fn map(self, tensor: usize) -> &'a Map {
        &self.frame.maps[tensor]
    }

    /// Stored bytes C, H, W of the network's input.
    pub(super) fn input(self) -> &'a [u8] {
        self.frame.input
    }

    /// Row `y` of a tensor and [`SLACK`] bytes after it; zeros above and below the picture.
    pub(super) fn row(self, tensor: usize, y: Option<usize>) -> &'a [u8] {
        let map = self.map(tensor);
        let ring = &self.rings[tensor];
        match y.filter(|&y| y < map.height) {
            None => &self.frame.zeros[usize::from(map.zero > 0)][..map.row_len() + SLACK],
            Some(y) if ring.rows > 0 => row_of(&ring.bytes, map, y % ring.rows),
            Some(y) => {
                let row =
                    self.frame.done.iter().find_map(|stage| stage.row(self.frame.maps, tensor, y));
                row.unwrap_or_default()
            }
        }
    }
}
