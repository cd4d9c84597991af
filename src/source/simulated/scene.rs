//! What the simulated sensor looks at: one picture at a time, moving slowly so that it looks live.
//!
//! Everything is a function of the frame's time, so a run can be repeated to the byte.

pub mod phantom;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::picture::Picture;
use crate::source::SourceError;

/// Where the pictures come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scene {
    /// The fundus picture in the program (assets/retina.jpg, CC0).
    #[default]
    BuiltIn,
    /// Vessels drawn by [`phantom`], seeded.
    Phantom,
    /// A picture, or a folder whose pictures are shown in the order of their names, again and again.
    Path(PathBuf),
}

/// `built-in`, `phantom`, or a path.
impl FromStr for Scene {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "built-in" => Self::BuiltIn,
            "phantom" => Self::Phantom,
            path => Self::Path(PathBuf::from(path)),
        })
    }
}

/// How the sensor moves over the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Motion {
    /// As an eye held almost still: a slow wander of at most [`DRIFT`] times the window.
    #[default]
    Drift,
    /// None.
    Still,
}

impl Motion {
    /// Where the window stands at `time`, in widths and heights of itself; (0, 0) at time 0.
    #[must_use]
    pub fn at(self, time: Duration) -> (f64, f64) {
        match self {
            Self::Still => (0.0, 0.0),
            Self::Drift => {
                (DRIFT * sway(time, DRIFT_PERIODS.0), DRIFT * sway(time, DRIFT_PERIODS.1))
            }
        }
    }
}

/// Swings between -1 and 1, starting at 0, once a period; smooth, and made of the four basic operations
/// only, so that it is the same number on every machine (a sine is not).
#[must_use]
pub fn sway(time: Duration, period: Duration) -> f64 {
    let turn = (time.as_secs_f64() / period.as_secs_f64() + 0.25).fract();
    let triangle = 1.0 - (4.0 * turn - 2.0).abs();
    // Smoothstep of the triangle, spread over -1..=1.
    (3.0 - triangle * triangle) * triangle / 2.0
}

/// A scene that can be looked at.
#[derive(Debug)]
pub struct OpenScene {
    picture: Picture,
    folder: Option<Folder>,
}

#[derive(Debug)]
struct Folder {
    pictures: Vec<PathBuf>,
    show_each: Duration,
    shown: usize,
    /// The picture after the one shown, decoded on a thread of its own: a large one takes longer than a
    /// frame, and no frame waits for it.
    next: Option<JoinHandle<Result<Picture, SourceError>>>,
}

impl OpenScene {
    /// Decodes the first picture. In a folder the headers of all pictures are checked too, so that a bad
    /// one is refused now and not in the middle of a run.
    pub fn open(scene: &Scene, show_each: Duration, seed: u64) -> Result<Self, SourceError> {
        match scene {
            Scene::BuiltIn => {
                let picture = Picture::decode(RETINA, "built-in picture")?;
                Ok(Self { picture, folder: None })
            }
            Scene::Phantom => {
                let picture = phantom::Phantom::draw(phantom::SIDE, seed).picture;
                Ok(Self { picture, folder: None })
            }
            Scene::Path(path) if path.is_dir() => {
                if show_each.is_zero() {
                    let name = path.display();
                    return Err(SourceError::Setting(format!(
                        "{name}: each picture would be shown for 0 seconds; give a longer time"
                    )));
                }
                let pictures = pictures_in(path)?;
                for picture in &pictures {
                    Picture::check(picture)?;
                }
                let picture = Picture::open(&pictures[0])?;
                let mut folder = Folder { pictures, show_each, shown: 0, next: None };
                folder.decode_next();
                Ok(Self { picture, folder: Some(folder) })
            }
            Scene::Path(path) => Ok(Self { picture: Picture::open(path)?, folder: None }),
        }
    }

    /// The picture at `time` since the run began.
    pub fn at(&mut self, time: Duration) -> Result<&Picture, SourceError> {
        if let Some(folder) = &mut self.folder {
            let due = folder.due(time);
            if due != folder.shown {
                self.picture = folder.turn_to(due)?;
            }
        }
        Ok(&self.picture)
    }
}

impl Folder {
    fn due(&self, time: Duration) -> usize {
        let turns = time.as_nanos() / self.show_each.as_nanos();
        usize::try_from(turns % self.pictures.len() as u128)
            .expect("smaller than the number of pictures")
    }

    fn turn_to(&mut self, due: usize) -> Result<Picture, SourceError> {
        let decoded = match self.next.take() {
            Some(next) if due == self.after_shown() => next.join().ok(),
            _ => None,
        };
        // Without a decoded one the turn came too early for it, or the thread could not start.
        let picture = decoded.unwrap_or_else(|| Picture::open(&self.pictures[due]))?;
        self.shown = due;
        self.decode_next();
        Ok(picture)
    }

    fn decode_next(&mut self) {
        if self.pictures.len() == 1 {
            return;
        }
        let path = self.pictures[self.after_shown()].clone();
        self.next =
            Builder::new().name("scene".to_owned()).spawn(move || Picture::open(&path)).ok();
    }

    fn after_shown(&self) -> usize {
        (self.shown + 1) % self.pictures.len()
    }
}

/// The folder's picture files by name, at least one.
fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let name = folder.display();
    let unreadable = |error| {
        SourceError::Scene(format!("{name}: the folder cannot be read: {error}; check permissions"))
    };
    let mut pictures = Vec::new();
    let mut others = 0_usize;
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_file() && EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()) {
            pictures.push(path);
        } else {
            others += 1;
        }
    }
    if pictures.is_empty() {
        let found = match others {
            0 => "the folder is empty".to_owned(),
            others => format!("no picture among its {others} entries"),
        };
        let wanted = EXTENSIONS.join(", ");
        return Err(SourceError::Scene(format!(
            "{name}: {found}; put pictures into it ({wanted}) or name a picture file"
        )));
    }
    pictures.sort();
    Ok(pictures)
}

/// The fundus picture; origin and licence are in assets/README.md.
const RETINA: &[u8] = include_bytes!("../../../assets/retina.jpg");

/// Largest drift, as part of the inference window.
pub const DRIFT: f64 = 0.015;

/// Of different length, so that the path does not close soon.
const DRIFT_PERIODS: (Duration, Duration) = (Duration::from_secs(7), Duration::from_secs(11));

/// Files of a folder that are taken for pictures.
const EXTENSIONS: [&str; 13] =
    ["bmp", "gif", "jpeg", "jpg", "pam", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp"];

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn open(path: &Path) -> Result<OpenScene, SourceError> {
        OpenScene::open(&Scene::Path(path.to_owned()), 2 * SECOND, 0)
    }

    fn write_grey(path: &Path, value: u8) {
        let header = b"P5 2 2 255\n".to_vec();
        std::fs::write(path, [header, vec![value; 4]].concat()).unwrap();
    }

    #[test]
    fn built_in_picture_is_there_whole() {
        let mut scene = OpenScene::open(&Scene::BuiltIn, SECOND, 0).unwrap();
        let picture = scene.at(Duration::ZERO).unwrap();
        assert_eq!((picture.width(), picture.height()), (1411, 1411));
    }

    #[test]
    fn folder_shows_its_pictures_by_name_and_starts_over() {
        let folder = tempfile::tempdir().unwrap();
        write_grey(&folder.path().join("b.pgm"), 20);
        write_grey(&folder.path().join("a.PGM"), 10);
        std::fs::write(folder.path().join("notes.txt"), "not shown").unwrap();
        let mut scene = open(folder.path()).unwrap();
        let mut shown = |seconds: u32| scene.at(SECOND * seconds).unwrap().rgb()[0];
        assert_eq!([0, 1, 2, 3, 4, 6].map(&mut shown), [10, 10, 20, 20, 10, 20]);
        // Turns may be skipped.
        assert_eq!([10, 16, 18].map(&mut shown), [20, 10, 20]);
    }

    #[test]
    fn refuses_a_folder_without_pictures_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().display().to_string();
        let said = open(folder.path()).unwrap_err().to_string();
        assert!(said.starts_with(&format!("{name}: the folder is empty; put pictures")), "{said}");
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        let said = open(folder.path()).unwrap_err().to_string();
        assert!(said.starts_with(&format!("{name}: no picture among its 1 entries")), "{said}");
    }

    #[test]
    fn refuses_a_folder_with_a_bad_picture_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        write_grey(&folder.path().join("a.pgm"), 10);
        let bad = folder.path().join("b.png");
        std::fs::write(&bad, "text").unwrap();
        let said = open(folder.path()).unwrap_err().to_string();
        assert!(said.starts_with(&bad.display().to_string()), "{said}");
    }

    #[test]
    fn refuses_to_show_pictures_for_no_time() {
        let folder = tempfile::tempdir().unwrap();
        let scene = Scene::Path(folder.path().to_owned());
        let refused = OpenScene::open(&scene, Duration::ZERO, 0);
        assert!(matches!(refused, Err(SourceError::Setting(_))), "{refused:?}");
    }

    #[test]
    fn drift_starts_at_rest_and_stays_small() {
        assert_eq!(Motion::Drift.at(Duration::ZERO), (0.0, 0.0));
        let mut widest = 0.0_f64;
        let mut before = (0.0, 0.0);
        for frame in 0..3000 {
            let (x, y) = Motion::Drift.at(Duration::from_millis(33) * frame);
            widest = widest.max(x.abs()).max(y.abs());
            let step = (x - before.0).abs().max((y - before.1).abs());
            assert!(step < 0.0005, "frame {frame}: jumped by {step}");
            before = (x, y);
        }
        assert!(widest > 0.014 && widest <= DRIFT, "{widest}");
    }

    #[test]
    fn sway_is_at_its_ends_after_a_quarter_and_three_quarters() {
        let at = |millis| sway(Duration::from_millis(millis), 4 * SECOND);
        assert_eq!([0, 1000, 2000, 3000, 4000].map(at), [0.0, 1.0, 0.0, -1.0, 0.0]);
        // Triangle 0.5: (3 - 0.25) * 0.5 / 2
        assert_eq!(at(500), 0.6875);
    }

    #[test]
    fn scene_is_read_from_a_word_or_a_path() {
        let read = |text: &str| text.parse::<Scene>().unwrap();
        assert_eq!(read("built-in"), Scene::BuiltIn);
        assert_eq!(read("phantom"), Scene::Phantom);
        assert_eq!(read("eyes/left.png"), Scene::Path("eyes/left.png".into()));
    }
}
