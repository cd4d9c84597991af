//! What the host sees of a card that cannot write back (virtio-gpu).

use std::path::Path;
use std::time::Duration;

use qsegment::pipeline::geometry::Size;
use qsegment::source::clock::Timestamp;

use crate::bench::{Bench, card, numbered, options};
use crate::reference::{blended_and_scaled, layout};

/// The virtual machine takes one when `/host/.shot` appears, and says so with `/host/.shotdone`.
#[test]
fn screen_dump_is_the_reference_within_one() {
    let Some(path) = card() else { return };
    let bench = Bench::show(options(path, "1280x720"), Duration::from_secs(600));
    let observer = bench.observer();
    bench.put(0x2b5a);
    bench.wait("the frame", || observer.shown() == 1);
    assert!(observer.on().unwrap().contains("one plane"), "{:?}", observer.on());
    let done = Path::new("/host/.shotdone");
    let _ = std::fs::remove_file(done);
    std::fs::write("/host/.shot", b"").unwrap();
    bench.wait("the screen dump", || done.exists());
    let dump = image::open("/host/screen.ppm").unwrap().to_rgb8();
    assert_eq!(dump.dimensions(), (1280, 720));
    let area = layout(1280, 720).picture;
    let to = Size::new(area.width, area.height).unwrap();
    let want = blended_and_scaled(&numbered(0x2b5a, Timestamp::default()), to);
    let mut worst = 0.0_f64;
    for (i, want) in want.iter().enumerate() {
        let (x, y) = (area.left + i % area.width, area.top + i / area.width);
        let got = dump.get_pixel(u32::try_from(x).unwrap(), u32::try_from(y).unwrap());
        for (got, want) in got.0.iter().zip(want) {
            worst = worst.max((f64::from(*got) - want).abs());
        }
    }
    assert!(worst <= 1.0 + 1e-9, "off by {worst}");
}
