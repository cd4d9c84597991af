//! The files that the page is made of: HTML, style, icon and scripts, one idea each, as they are written. There is no
//! build step, and they ask no other machine for anything.
//!
//! ```text
//!   /live ---> live.js: newest message, JPEG and probability decoded together; a newer one replaces it
//!                |
//!                v
//!   page.js:   frame --+--> draw.js (vessels.js): probability --threshold--> heat, outline, skeleton, width
//!                      +--> gather.js: the last frames, for best and mean
//!   /status -> twice a second -> status.js, measure.js, sensor.js, recording.js
//!   state.js   which of it may be believed
//! ```

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use super::Site;
use super::routes::file;

/// A route for each.
pub(super) fn files() -> Router<Arc<Site>> {
    let mut router = Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("index.html"))))
        .route("/page.css", get(|| file("text/css; charset=utf-8", include_str!("page.css"))))
        .route("/icon.svg", get(|| file("image/svg+xml", include_str!("icon.svg"))));
    for (path, text) in SCRIPTS {
        router = router.route(path, get(move || file("text/javascript; charset=utf-8", text)));
    }
    router
}

/// The first is what the page loads; the others follow from it.
const SCRIPTS: [(&str, &str); 17] = [
    ("/page/page.js", include_str!("page.js")),
    ("/page/api.js", include_str!("api.js")),
    ("/page/charts.js", include_str!("charts.js")),
    ("/page/dom.js", include_str!("dom.js")),
    ("/page/draw.js", include_str!("draw.js")),
    ("/page/gather.js", include_str!("gather.js")),
    ("/page/keys.js", include_str!("keys.js")),
    ("/page/live.js", include_str!("live.js")),
    ("/page/measure.js", include_str!("measure.js")),
    ("/page/recording.js", include_str!("recording.js")),
    ("/page/sensor.js", include_str!("sensor.js")),
    ("/page/snapshot.js", include_str!("snapshot.js")),
    ("/page/state.js", include_str!("state.js")),
    ("/page/status.js", include_str!("status.js")),
    ("/page/vessels.js", include_str!("vessels.js")),
    ("/page/zip.js", include_str!("zip.js")),
    ("/page/zoom.js", include_str!("zoom.js")),
];

#[cfg(test)]
mod tests {
    use super::SCRIPTS;

    #[test]
    fn scripts_are_small_together() {
        let bytes: usize = SCRIPTS.iter().map(|(_, text)| text.len()).sum();
        assert!(bytes < 60_000, "{bytes} bytes of script");
    }

    #[test]
    fn every_script_that_one_imports_is_served() {
        for (of, text) in SCRIPTS {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let file = line.split('"').nth(1).unwrap().trim_start_matches("./");
                let path = format!("/page/{file}");
                assert!(SCRIPTS.iter().any(|(served, _)| *served == path), "{of}: {path}");
            }
        }
    }
}
