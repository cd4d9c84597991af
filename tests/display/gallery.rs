//! What people see of the built-in scene, kept as pictures; docs/screen.jpg is made of them.

use std::thread;
use std::time::Duration;

use crate::daemon::{Bench, Daemon, is_a_sign};
use crate::writeback::Glass;

#[test]
fn built_in_scene_is_seen_live_and_stale() {
    let Some(bench) = Bench::new() else { return };
    // An emulated processor takes seconds for a frame of 320 x 320, which is more than stale.
    let (fine, coarse) = ("320x320", "96x96");
    for (name, mode, size, settings, is_live) in [
        ("live", "1920x1080", fine, "", true),
        ("stale", "1920x1080", coarse, "[pipeline]\nstale_after_ms = 1", false),
        ("outline", "1280x720", fine, "[overlay]\nstyle = \"outline\"\nskeleton = true", true),
        ("upside-down-mirrored", "1280x720", coarse, "rotation = 180\nmirror = true", true),
        ("without-figures", "1280x720", coarse, "text = false", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let patient = if is_live { "[pipeline]\nstale_after_ms = 30000\n" } else { "" };
        let config = format!("{patient}[hdmi]\nmode = \"{mode}\"\n{settings}\n");
        let arguments = ["--source", "simulated", "--input-size", size];
        let daemon = Daemon::start(&bench, folder.path(), &config, &arguments);
        let (width, height) = mode.split_once('x').unwrap();
        let mut writeback = daemon.writeback((width.parse().unwrap(), height.parse().unwrap()));
        let mut next =
            || daemon.wait(|| Some(writeback.capture()).filter(|glass| shows_it(glass, is_live)));
        // The figures come after the picture.
        for _ in 0..2 {
            next();
            thread::sleep(Duration::from_secs(2));
        }
        next().keep(&format!("built-in-{name}"));
        daemon.end();
    }
}

/// As red as a retina, or under the stale sign.
fn shows_it(glass: &Glass, is_live: bool) -> bool {
    let [red, green, blue] = glass.at(glass.width / 2, glass.height / 3);
    let is_picture = red > 60 && red > blue && red >= green;
    if is_live { is_picture && !is_a_sign(glass) } else { glass.is_hatched([255, 176, 0]) }
}
