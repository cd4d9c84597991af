//! A drawn fundus with its own truth as mask: every criterion fails when its own fault is there, and only then.

use qsegment::pipeline::quality::{CRITERIA, Grade, Judge, Seen, Verdict};
use qsegment::source::simulated::picture::Picture;
use qsegment::source::simulated::scene::phantom::Phantom;

use crate::allocated::{Allocated, allocated};
use crate::degrade::Degradation::{self, Bright, Dark, Defocus, Noise, Smear, Uneven};

const SIDE: usize = 320;

/// A frame of a drawn eye; the disc has radius 0.47 of the side.
struct Drawn {
    picture: Picture,
    probability: Vec<u8>,
    field: Vec<u8>,
}

impl Drawn {
    fn new() -> Self {
        // Drawn finer and averaged, as a lens and a sensor would.
        let Phantom { picture, truth } = Phantom::draw(2 * SIDE, 4);
        let four = |x: usize, y: usize| {
            [0, 1, 2 * SIDE, 2 * SIDE + 1].map(|step| y * 4 * SIDE + x * 2 + step)
        };
        let pixels = || (0..SIDE * SIDE).map(|at| four(at % SIDE, at / SIDE));
        let rgb = pixels().flat_map(|four| {
            [0, 1, 2].map(|colour| {
                let sum: u32 =
                    four.iter().map(|at| u32::from(picture.rgb()[at * 3 + colour])).sum();
                u8::try_from(sum / 4).expect("a mean of bytes")
            })
        });
        let rgb = rgb.collect();
        let probability = pixels()
            .map(|four| if four.iter().filter(|at| truth[**at]).count() >= 2 { 255 } else { 0 })
            .collect();
        let drawn = Self {
            picture: Picture::new(SIDE, SIDE, rgb).expect("three bytes a pixel"),
            probability,
            field: vec![0; SIDE * SIDE],
        };
        drawn.seen_through(0.46)
    }

    /// Only the pixels so far from the middle are in the field, as parts of the side.
    fn seen_through(mut self, radius: f64) -> Self {
        let away = |at: usize| at as f64 + 0.5 - SIDE as f64 / 2.0;
        self.field = (0..SIDE * SIDE)
            .map(|at| u8::from(away(at % SIDE).hypot(away(at / SIDE)) < radius * SIDE as f64))
            .collect();
        self
    }

    fn seen(&self) -> Seen<'_> {
        Seen {
            rgb: self.picture.rgb(),
            width: SIDE,
            height: SIDE,
            probability: &self.probability,
            threshold: 128,
            field: &self.field,
            mask_width: SIDE,
            mask_height: SIDE,
        }
    }

    /// Judged as the second of two equal frames.
    fn verdict(&self) -> Verdict {
        let mut judge = Judge::default();
        judge.judge(self.seen());
        judge.judge(self.seen())
    }

    fn after(degradation: Degradation) -> Self {
        let drawn = Self::new();
        Self { picture: degradation.of(&drawn.picture, 0.8, 7), ..drawn }
    }
}

/// Names of what is not good.
fn failing(verdict: &Verdict) -> Vec<&'static str> {
    let failed = verdict.criteria.iter().filter(|of| of.grade < Grade::Good);
    failed.map(|of| of.standard.name).collect()
}

#[test]
fn a_drawn_eye_is_good_by_every_criterion() {
    let verdict = Drawn::new().verdict();
    assert_eq!((verdict.grade, failing(&verdict)), (Grade::Good, vec![]), "{verdict:#?}");
    assert!(verdict.criteria.iter().all(|of| of.value.is_some()), "{verdict:#?}");
    assert_eq!((verdict.advice(), verdict.failed()), (None, None));
}

#[test]
fn every_fault_fails_its_own_criterion_and_no_other() {
    let small = Drawn::new().seen_through(0.2);
    let mut cut = Drawn::new();
    for (at, inside) in cut.field.iter_mut().enumerate() {
        *inside *= u8::from(at % SIDE >= SIDE * 4 / 10);
    }
    let mut none = Drawn::new();
    none.probability.fill(0);
    for (fault, drawn, criterion) in [
        ("a small disc", small, "field_size"),
        ("a disc that is cut off", cut, "roundness"),
        ("little light", Drawn::after(Dark(0.18)), "brightness"),
        ("much light", Drawn::after(Bright(6.0)), "headroom"),
        ("light from one side", Drawn::after(Uneven(0.02)), "evenness"),
        ("defocus", Drawn::after(Defocus(2.5)), "focus"),
        ("movement in the exposure", Drawn::after(Smear(13)), "focus"),
        ("noise", Drawn::after(Noise(30.0)), "contrast"),
        ("a mask without vessels", none, "plausibility"),
    ] {
        let verdict = drawn.verdict();
        let shown: Vec<_> =
            verdict.criteria.iter().map(|of| (of.standard.name, of.value)).collect();
        assert_eq!(failing(&verdict), [criterion], "{fault}: {shown:?}");
        assert_eq!(verdict.failed().map(|of| of.standard.name), Some(criterion), "{fault}");
        assert!(verdict.advice().is_some_and(|advice| advice.contains(": ")), "{fault}");
    }
}

#[test]
fn movement_between_frames_fails_stillness_and_no_other() {
    let before = Drawn::new();
    let mut after = Drawn::new();
    after.probability.rotate_right(5 + 5 * SIDE);
    after.picture = Degradation::Moved(5).of(&after.picture, 0.0, 1);
    let mut judge = Judge::default();
    assert_eq!(failing(&judge.judge(before.seen())), [""; 0]);
    assert_eq!(failing(&judge.judge(after.seen())), ["stillness"]);
    assert_eq!(failing(&judge.judge(after.seen())), [""; 0], "it stays there");
}

#[test]
fn without_a_field_only_that_is_said() {
    let mut drawn = Drawn::new();
    drawn.field.fill(0);
    let verdict = drawn.verdict();
    assert_eq!((verdict.grade, failing(&verdict)), (Grade::Reject, vec!["field_size"]));
    assert_eq!(verdict.criteria[0].value, Some(0.0));
    assert!(verdict.criteria[1..].iter().all(|of| of.value.is_none()));
}

#[test]
fn frames_of_any_size_are_judged() {
    let mut judge = Judge::default();
    for (side, mask_side) in [(0, 0), (0, 5), (5, 0), (1, 1), (3, 7), (40, 9), (9, 40)] {
        let (rgb, mask) = (vec![90; side * side * 3], vec![200; mask_side * mask_side]);
        let verdict = judge.judge(Seen {
            rgb: &rgb,
            width: side,
            height: side,
            probability: &mask,
            threshold: 128,
            field: &mask,
            mask_width: mask_side,
            mask_height: mask_side,
        });
        assert_eq!(verdict.grade, Grade::Reject, "{side}, mask {mask_side}");
    }
}

#[test]
fn nothing_is_allocated_once_the_buffers_have_their_size() {
    let drawn = Drawn::new();
    let mut judge = Judge::default();
    judge.judge(drawn.seen());
    let (_, took) = allocated(|| judge.judge(drawn.seen()));
    assert_eq!(took, Allocated { count: 0, peak_bytes: 0 });
}

/// Four times as many pixels, each the same.
#[test]
fn a_larger_picture_is_judged_as_it_is_on_the_masks_pixels() {
    let drawn = Drawn::new();
    let twice: Vec<u8> = (0..4 * SIDE * SIDE)
        .flat_map(|at| {
            let from = (at / (2 * SIDE) / 2 * SIDE + at % (2 * SIDE) / 2) * 3;
            [0, 1, 2].map(|colour| drawn.picture.rgb()[from + colour])
        })
        .collect();
    let seen = Seen { rgb: &twice, width: 2 * SIDE, height: 2 * SIDE, ..drawn.seen() };
    assert_eq!(Judge::default().judge(seen), Judge::default().judge(drawn.seen()));
}

#[test]
fn it_is_written_with_bounds_and_advice() {
    let verdict = Drawn::after(Defocus(2.5)).verdict();
    let written = serde_json::to_value(verdict).unwrap();
    assert_eq!(written["grade"], "reject");
    assert!(written["advice"].as_str().unwrap().starts_with("Refocus: "), "{written}");
    let criteria = written["criteria"].as_array().unwrap();
    assert_eq!(criteria.len(), CRITERIA.len());
    let focus = criteria.iter().find(|of| of["name"] == "focus").unwrap();
    assert!(focus["value"].as_f64() < focus["usable_from"].as_f64(), "{focus}");
    assert!(focus["usable_from"].as_f64() < focus["good_from"].as_f64(), "{focus}");
    assert_eq!((&focus["unit"], &focus["grade"]), (&"1".into(), &"reject".into()));
    let size = &criteria[0];
    assert_eq!((&size["name"], &size["advice"]), (&"field_size".into(), &serde_json::Value::Null));
}
