use std::time::Duration;

use proptest::prelude::*;
use qsegment::outputs::overlay::{Freshness, Layer, Opacity, Overlay, Scale, Style};
use qsegment::pipeline::Frame;
use qsegment::source::clock::Timestamp;

use crate::sample::{GREY, frame, frame_over};

const STALE: Freshness = Freshness::Stale { age: Duration::from_millis(1_234) };
const BLOCK: [&str; 9] = [
    ".........",
    ".........",
    "..#####..",
    "..#####..",
    "..#####..",
    "..#####..",
    "..#####..",
    ".........",
    ".........",
];

fn style(layer: Layer, scale: Scale) -> Style {
    Style { layer, skeleton: false, opacity: Opacity::new(1.0).unwrap(), scale }
}

fn drawn(frame: &Frame, style: Style, freshness: Freshness) -> (usize, Vec<u8>) {
    let mut overlay = Overlay::default();
    let picture = overlay.draw(Some(frame), style, freshness);
    assert_eq!(picture.rgb.len(), picture.size.pixels() * 3);
    (picture.size.width(), picture.rgb.to_vec())
}

/// `#` where a live picture differs from the grey under it.
fn coloured(frame: &Frame, style: Style) -> Vec<String> {
    let (width, rgb) = drawn(frame, style, Freshness::Live);
    let pixels: Vec<&[u8]> = rgb.chunks(3).collect();
    pixels
        .chunks(width)
        .map(|row| row.iter().map(|&p| if p == [GREY; 3] { '.' } else { '#' }).collect())
        .collect()
}

#[test]
fn heat_is_exactly_where_the_probability_is() {
    let vessels = ["....", ".#..", "..##", "...."];
    assert_eq!(coloured(&frame(&vessels), style(Layer::Heat, Scale::One)), vessels);
}

#[test]
fn heat_grows_with_probability() {
    let mut frame = frame(&["....."]);
    frame.probability = vec![0, 60, 120, 180, 255];
    let (_, rgb) = drawn(&frame, style(Layer::Heat, Scale::One), Freshness::Live);
    let distance: Vec<u32> =
        rgb.chunks(3).map(|p| p.iter().map(|&v| u32::from(v.abs_diff(GREY))).sum()).collect();
    assert!(distance.is_sorted_by(|a, b| a < b), "{distance:?}");
}

#[test]
fn outline_is_exactly_the_contour() {
    let expected = [
        ".........",
        ".........",
        "..#####..",
        "..#...#..",
        "..#...#..",
        "..#...#..",
        "..#####..",
        ".........",
        ".........",
    ];
    assert_eq!(coloured(&frame(&BLOCK), style(Layer::Outline, Scale::One)), expected);
}

/// Half-pixel centres put the edge of a doubled block at exactly twice its place: rows 4 to 13.
#[test]
fn outline_is_one_pixel_wide_at_scale_two() {
    let got = coloured(&frame(&BLOCK), style(Layer::Outline, Scale::Two));
    let full = "....##########....";
    let sides = "....#........#....";
    assert_eq!(got.len(), 18);
    for (y, row) in got.iter().enumerate() {
        let expected = match y {
            4 | 13 => full,
            5..=12 => sides,
            _ => "..................",
        };
        assert_eq!(row, expected, "row {y}");
    }
}

/// Samples of a mask half as wide as its picture: 0, 64, 191, 255. The mask begins at the third
/// pixel, and the picture's own edge is no contour.
#[test]
fn a_smaller_mask_lies_over_the_same_part_of_the_picture() {
    let frame = frame_over(&[".#", ".#"], 2);
    let expected = ["..#.", "..#.", "..#.", "..#."];
    assert_eq!(coloured(&frame, style(Layer::Outline, Scale::One)), expected);
}

#[test]
fn skeleton_is_the_middle_of_a_vessel() {
    let bar = frame(&["........", "########", "########", "########", "........"]);
    let middle = |scale| {
        let style = Style { skeleton: true, ..style(Layer::Off, scale) };
        let rows = coloured(&bar, style);
        rows.iter().map(|row| row.matches('#').count()).collect::<Vec<_>>()
    };
    let one = middle(Scale::One);
    assert_eq!((one[0], one[1], one[3], one[4]), (0, 0, 0, 0));
    assert!(one[2] >= 6, "{one:?}");
    let two = middle(Scale::Two);
    assert_eq!(two[4], one[2] * 2);
    assert_eq!(two[4], two[5]);
    assert_eq!(two.iter().sum::<usize>(), two[4] * 2);
}

#[test]
fn off_and_no_opacity_show_the_picture_alone() {
    let mut frame = frame(&BLOCK);
    for (i, value) in frame.rgb.iter_mut().enumerate() {
        *value = u8::try_from(i % 251).unwrap();
    }
    let off = style(Layer::Off, Scale::One);
    let invisible =
        Style { opacity: Opacity::new(0.0).unwrap(), ..style(Layer::Outline, Scale::One) };
    assert_eq!(drawn(&frame, off, Freshness::Live).1, frame.rgb);
    assert_eq!(drawn(&frame, invisible, Freshness::Live).1, frame.rgb);
}

#[test]
fn a_stale_picture_says_nothing_about_the_mask() {
    let vessels = frame_over(&BLOCK, 30);
    let mut none = vessels.clone();
    none.probability.fill(0);
    for layer in [Layer::Heat, Layer::Outline] {
        let style = Style { skeleton: true, ..style(layer, Scale::One) };
        assert_ne!(drawn(&vessels, style, Freshness::Live), drawn(&none, style, Freshness::Live));
        assert_eq!(drawn(&vessels, style, STALE), drawn(&none, style, STALE));
    }
}

#[test]
fn a_stale_picture_is_dim_grey_inside_a_hatched_border_with_words() {
    let mut frame = frame_over(&BLOCK, 30);
    for pixel in frame.rgb.chunks_exact_mut(3) {
        pixel.copy_from_slice(&[200, 60, 20]);
    }
    let (width, rgb) = drawn(&frame, style(Layer::Heat, Scale::One), STALE);
    let at = |x: usize, y: usize| &rgb[(y * width + x) * 3..][..3];
    // Luma of (200, 60, 20) is 97.5; half of it is what stays.
    assert_eq!(at(30, 30), [48; 3]);
    let top: Vec<_> = (0..width).map(|x| at(x, 0)).collect();
    assert!(top.contains(&[0; 3].as_slice()) && top.contains(&[255, 176, 0].as_slice()));
    let words = rgb.chunks(3).skip(width * 100).take(width * 60);
    assert!(words.filter(|p| *p == [255, 176, 0]).count() > 200, "no letters in the middle");
}

#[test]
fn no_signal_shows_no_picture_and_keeps_its_size() {
    let frame = frame_over(&BLOCK, 30);
    let style = style(Layer::Heat, Scale::Two);
    let mut overlay = Overlay::default();
    let first = overlay.draw(None, style, Freshness::NoSignal).size;
    assert_eq!((first.width(), first.height()), (640, 640));
    let live = overlay.draw(Some(&frame), style, Freshness::Live).size;
    let lost = overlay.draw(Some(&frame), style, Freshness::NoSignal);
    assert_eq!(lost.size, live);
    let with_frame = lost.rgb.to_vec();
    assert_eq!(overlay.draw(None, style, Freshness::NoSignal).rgb, with_frame);
}

#[test]
fn frames_whose_buffers_do_not_fit_their_sizes_are_no_signal() {
    let style = style(Layer::Heat, Scale::One);
    let placeholder = drawn(&Frame::default(), style, Freshness::Live).1;
    let mut short = frame(&BLOCK);
    short.rgb.pop();
    assert_eq!(drawn(&short, style, Freshness::Live).1, placeholder);
    let mut short = frame(&BLOCK);
    short.probability.pop();
    assert_eq!(drawn(&short, style, Freshness::Live).1, placeholder);
}

#[test]
fn freshness_has_two_limits() {
    let frame = frame(&["#"]);
    // The picture is 100 ms old when its buffer arrives at 0.
    let at = |ms: u64| {
        let now = Timestamp::default().plus(Duration::from_millis(ms));
        Freshness::of(Some(&frame), now, Duration::from_millis(500))
    };
    assert_eq!(at(0), Freshness::Live);
    assert_eq!(at(400), Freshness::Live);
    assert_eq!(at(401), Freshness::Stale { age: Duration::from_millis(501) });
    assert_eq!(at(9_900), Freshness::Stale { age: Duration::from_secs(10) });
    assert_eq!(at(9_901), Freshness::NoSignal);
    assert_eq!(Freshness::of(None, Timestamp(0), Duration::MAX), Freshness::NoSignal);
}

#[test]
fn opacity_is_refused_outside_zero_to_one() {
    for refused in [-0.01, 1.01, f32::NAN, f32::INFINITY] {
        assert_eq!(Opacity::new(refused), None, "{refused}");
    }
    assert_eq!(f32::from(Opacity::new(0.35).unwrap()), 0.35);
}

proptest! {
    #[test]
    fn any_size_is_drawn_in_any_state(
        (width, height) in (1_usize..70, 1_usize..70),
        (mask_width, mask_height) in (1_usize..70, 1_usize..70),
        layer in prop_oneof![Just(Layer::Heat), Just(Layer::Outline), Just(Layer::Off)],
        scale in prop_oneof![Just(Scale::One), Just(Scale::Two)],
        skeleton in any::<bool>(),
        freshness in prop_oneof![Just(Freshness::Live), Just(STALE), Just(Freshness::NoSignal)],
    ) {
        let frame = Frame {
            width,
            height,
            rgb: vec![GREY; width * height * 3],
            mask_width,
            mask_height,
            probability: (0..=255_u8).cycle().step_by(37).take(mask_width * mask_height).collect(),
            threshold: 128,
            ..Frame::default()
        };
        let style = Style { layer, skeleton, opacity: Opacity::new(0.5).unwrap(), scale };
        drawn(&frame, style, freshness);
    }
}
