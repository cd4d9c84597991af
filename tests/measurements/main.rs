//! Vessel measurements against phantoms whose truth is known by analysis, and against the 56 masks of CHASE_DB1.

#[path = "../formats/allocated.rs"]
mod allocated;
mod chase;
mod live;
mod phantom;

use phantom::{Canvas, Curve};
use qsegment::pipeline::measurements::{Measurements, Measuring};

fn measured(canvas: &Canvas) -> Measurements {
    Measuring::default().measure(&canvas.pixels, 128, &vec![1; canvas.pixels.len()], canvas.width)
}

#[test]
fn tortuosity_is_that_of_the_curve_within_one_percent() {
    for (curve, what) in [
        (Curve::line(0.0), "level line"),
        (Curve::line(0.21), "line of 12 degrees"),
        (Curve::line(0.46), "line of 26 degrees"),
        (Curve::line(0.785), "line of 45 degrees"),
        (Curve::line(1.2), "line of 69 degrees"),
        (Curve::arc(60.0, 2.0), "arc of radius 60"),
        (Curve::arc(120.0, 2.5), "arc of radius 120"),
        (Curve::arc(200.0, 1.0), "arc of radius 200"),
        (Curve::sine(8.0, 120.0), "shallow sine"),
        (Curve::sine(15.0, 120.0), "sine"),
        (Curve::sine(25.0, 160.0), "deep sine"),
    ] {
        for wide in [3.0, 5.0, 8.0] {
            let mut canvas = Canvas::new(640, 640);
            canvas.draw(&curve, wide);
            let found = measured(&canvas);
            let tortuosity = found.tortuosity.expect("it is long enough");
            let error = tortuosity / curve.tortuosity() - 1.0;
            assert!(
                error.abs() < 0.01,
                "{what}, {wide} wide: {tortuosity:.4}, want {:.4}",
                curve.tortuosity()
            );
        }
    }
}

#[test]
fn width_and_density_are_those_of_the_drawing() {
    for wide in [3.0, 5.0, 9.0] {
        let mut canvas = Canvas::new(400, 400);
        let line = Curve::line(0.0);
        canvas.draw(&line, wide);
        let found = measured(&canvas);
        let density = found.vessel_px as f64 / (400.0 * 400.0);
        assert_eq!(found.density, Some(density));
        // The centreline of a thick line is shorter by its width at most.
        let mean = found.mean_width_px.expect("there is a vessel");
        assert!((mean - wide).abs() < 0.08 * wide, "{wide}: {mean}");
        let drawn = line.length();
        assert!(
            (drawn - wide..=drawn + 1.0).contains(&found.length_px),
            "{wide}: {}",
            found.length_px
        );
    }
}

#[test]
fn width_map_follows_each_vessel() {
    let mut canvas = Canvas::new(300, 300);
    canvas.draw(&Curve::between((20.0, 60.0), (280.0, 60.0)), 3.0);
    canvas.draw(&Curve::between((20.0, 200.0), (280.0, 200.0)), 9.0);
    let mut measuring = Measuring::default();
    measuring.measure(&canvas.pixels, 128, &vec![1; canvas.pixels.len()], 300);
    let widths: Vec<_> = measuring.widths(300).collect();
    let of = |rows: std::ops::Range<usize>| -> Vec<f32> {
        let inner = |x: usize| (40..260).contains(&x);
        widths
            .iter()
            .filter(|((x, y), _)| rows.contains(y) && inner(*x))
            .map(|(_, width)| *width)
            .collect()
    };
    for (rows, wide) in [(50..70, 3.0), (190..210, 9.0)] {
        let found = of(rows);
        assert!(found.len() >= 215, "{}", found.len());
        assert!(found.iter().all(|width| (width - wide).abs() <= 1.0), "{wide}: {found:?}");
    }
}

#[test]
fn tree_has_its_ends_and_branchings() {
    // A trunk, two boughs, two twigs on each: three forks.
    let mut canvas = Canvas::new(400, 400);
    for (from, to) in [
        ((200.0, 380.0), (200.0, 260.0)),
        ((200.0, 260.0), (110.0, 170.0)),
        ((200.0, 260.0), (290.0, 170.0)),
        ((110.0, 170.0), (50.0, 60.0)),
        ((110.0, 170.0), (150.0, 60.0)),
        ((290.0, 170.0), (250.0, 60.0)),
        ((290.0, 170.0), (350.0, 60.0)),
    ] {
        canvas.draw(&Curve::between(from, to), 5.0);
    }
    let found = measured(&canvas);
    assert_eq!((found.end_points, found.branch_points), (5, 3));
    let straight = found.tortuosity.expect("seven vessels");
    assert!(straight < 1.01, "{straight}");
}

#[test]
fn disc_is_an_area_and_no_vessel() {
    let mut canvas = Canvas::new(300, 300);
    canvas.draw(&Curve::between((150.0, 150.0), (150.0, 150.0)), 100.0);
    let found = measured(&canvas);
    let area = std::f64::consts::PI * 50.0 * 50.0;
    assert!((found.vessel_px as f64 / area - 1.0).abs() < 0.01, "{}", found.vessel_px);
    assert!(found.length_px < 10.0, "{}", found.length_px);
    assert_eq!((found.branch_points, found.tortuosity), (0, None));
    let dimension = found.box_dimension.expect("something is set");
    assert!(dimension > 1.4, "that of a line is 1: {dimension}");
}

#[test]
fn ring_has_a_length_and_neither_ends_nor_tortuosity() {
    let mut canvas = Canvas::new(300, 300);
    canvas.draw(&Curve::arc(80.0, std::f64::consts::TAU), 5.0);
    let found = measured(&canvas);
    assert_eq!((found.end_points, found.branch_points, found.tortuosity), (0, 0, None));
    let round = std::f64::consts::TAU * 80.0;
    // A chain of pixels is longer than the circle, by 8 % at most.
    assert!((round..round * 1.09).contains(&found.length_px), "{}", found.length_px);
}

#[test]
fn nothing_is_measured_where_there_is_nothing() {
    let mut measuring = Measuring::default();
    let empty = measuring.measure(&[0; 100], 128, &[1; 100], 10);
    assert_eq!((empty.density, empty.length_px, empty.vessel_px), (Some(0.0), 0.0, 0));
    assert_eq!((empty.mean_width_px, empty.box_dimension, empty.tortuosity), (None, None, None));
    let blind = measuring.measure(&[255; 100], 128, &[0; 100], 10);
    assert_eq!((blind.density, blind.length_density_per_px, blind.vessel_px), (None, None, 0));
    assert_eq!(measuring.measure(&[], 128, &[], 0), Measurements::default());
}

#[test]
fn only_the_field_of_view_counts() {
    let mut canvas = Canvas::new(200, 200);
    canvas.draw(&Curve::between((10.0, 50.0), (190.0, 50.0)), 5.0);
    canvas.draw(&Curve::between((10.0, 150.0), (190.0, 150.0)), 5.0);
    let field: Vec<u8> = (0..200 * 200).map(|at| u8::from(at / 200 < 100)).collect();
    let found = Measuring::default().measure(&canvas.pixels, 128, &field, 200);
    assert_eq!((found.field_px, found.end_points), (20_000, 2));
    assert!((170.0..185.0).contains(&found.length_px), "{}", found.length_px);
}
