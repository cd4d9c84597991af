//! Pictures with a drawn truth.
//!
//! ```text
//!   CHASE_DB1   images/Image_01L.jpg   1stHO/Image_01L_1stHO.png   2ndHO/Image_01L_2ndHO.png
//!               fov_png/Image_01L_fov.png, where it is there; or all files together, as in the archive
//!   any other   images/NAME.*   masks/NAME.*   fov/NAME.*, where it is there
//! ```
//!
//! CHASE_DB1's pictures are 999 x 960 and judged in the square of 960 from column 18, as in the literature. It is
//! CC BY 4.0: Fraz et al., IEEE TBME 59(9):2538-2548, 2012, doi 10.1109/TBME.2012.2205687.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use image::{DynamicImage, ImageFormat, ImageReader};
use qsegment::pipeline::field_of_view::FieldOfView;
use qsegment::source::simulated::picture::Picture;

/// A folder of pictures and truths.
#[derive(Debug)]
pub(super) enum Dataset {
    Chase(PathBuf),
    Pairs { folder: PathBuf, names: Vec<String> },
}

/// One picture. Every plane is as large as it, row-major.
#[derive(Debug)]
pub(super) struct Example {
    pub(super) picture: Picture,
    /// Vessels as the first observer drew them.
    pub(super) truth: Vec<bool>,
    /// As the second did.
    pub(super) second: Option<Vec<bool>>,
    /// The lit disc.
    pub(super) field: Vec<bool>,
}

impl Dataset {
    /// Finds out what kind of folder it is.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        ensure!(folder.is_dir(), "{shown} is no folder; {WANTED}");
        if find(folder, "images", &format!("{}.jpg", chase_stem("01L"))).is_some() {
            return Ok(Self::Chase(folder.to_owned()));
        }
        let (images, masks) = (folder.join("images"), folder.join("masks"));
        ensure!(
            images.is_dir() && masks.is_dir(),
            "{shown} has neither CHASE_DB1's files nor images/ and masks/; {WANTED}"
        );
        let reading = || format!("cannot read the folder {}", images.display());
        let mut names = Vec::new();
        for entry in images.read_dir().with_context(reading)? {
            let path = entry.with_context(reading)?.path();
            let readable =
                ImageFormat::from_path(&path).is_ok_and(|format| format.reading_enabled());
            if let (true, true, Some(stem)) = (readable, path.is_file(), path.file_stem()) {
                names.push(stem.to_string_lossy().into_owned());
            }
        }
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            bail!(
                "{} has two pictures called {}; its truth belongs to one of them, so take the other away",
                images.display(),
                twice[0]
            );
        }
        for name in &names {
            required(folder, "masks", name)?;
        }
        ensure!(!names.is_empty(), "{} holds no picture; {WANTED}", images.display());
        Ok(Self::Pairs { folder: folder.to_owned(), names })
    }

    pub(super) fn load(&self, name: &str) -> anyhow::Result<Example> {
        match self {
            Self::Chase(folder) => load_chase(folder, name),
            Self::Pairs { folder, .. } => load_pair(folder, name),
        }
    }
}

fn load_chase(folder: &Path, name: &str) -> anyhow::Result<Example> {
    let stem = chase_stem(name);
    let open = |part: &str, file: String| {
        let path = find(folder, part, &file).with_context(|| {
            format!("{} has neither {part}/{file} nor {file}; {WANTED}", folder.display())
        })?;
        let image = open(&path)?;
        let (width, height) = (image.width(), image.height());
        ensure!(
            (width, height) == (CHASE_WIDTH, CHASE_SIDE),
            "{} is {width}x{height}; a picture of CHASE_DB1 is {CHASE_WIDTH}x{CHASE_SIDE}",
            path.display()
        );
        Ok(image.crop_imm(CHASE_LEFT, 0, CHASE_SIDE, CHASE_SIDE))
    };
    let rgb = open("images", format!("{stem}.jpg"))?.into_rgb8().into_raw();
    let side = CHASE_SIDE as usize;
    let mask = |part: &str, file: String| open(part, file).map(drawn);
    let field_file = format!("{stem}_fov.png");
    let field = match find(folder, "fov_png", &field_file) {
        Some(_) => mask("fov_png", field_file)?,
        None => lit(&rgb, (side, side)),
    };
    Ok(Example {
        truth: mask("1stHO", format!("{stem}_1stHO.png"))?,
        second: Some(mask("2ndHO", format!("{stem}_2ndHO.png"))?),
        field,
        picture: Picture::new(side, side, rgb)?,
    })
}

fn load_pair(folder: &Path, name: &str) -> anyhow::Result<Example> {
    let picture = Picture::open_whole(&required(folder, "images", name)?)?;
    let (width, height) = (picture.width(), picture.height());
    let mask = |path: &Path| {
        let mask = open(path)?;
        let (mask_width, mask_height) = (mask.width() as usize, mask.height() as usize);
        ensure!(
            (mask_width, mask_height) == (width, height),
            "{} is {mask_width}x{mask_height}, its picture {width}x{height}; a truth is as large as \
             what it was drawn on",
            path.display()
        );
        let brightest = mask.to_luma8().into_raw().into_iter().max().unwrap_or_default();
        ensure!(
            brightest == 0 || brightest > GREY,
            "{} has no pixel above {brightest}; white (255) is wanted for vessel",
            path.display()
        );
        Ok(drawn(mask))
    };
    let truth = mask(&required(folder, "masks", name)?)?;
    let field = match with_stem(folder, "fov", name) {
        Some(path) => mask(&path)?,
        None => lit(picture.rgb(), (width, height)),
    };
    Ok(Example { picture, truth, second: None, field })
}

/// The field of view where nobody drew it.
fn lit(rgb: &[u8], size: (usize, usize)) -> Vec<bool> {
    FieldOfView::default().find(rgb, size, size).iter().map(|inside| *inside != 0).collect()
}

fn required(folder: &Path, part: &str, name: &str) -> anyhow::Result<PathBuf> {
    with_stem(folder, part, name).with_context(|| {
        format!("{}/{part} has no {name}.*, although images/ has; {WANTED}", folder.display())
    })
}

fn with_stem(folder: &Path, part: &str, name: &str) -> Option<PathBuf> {
    let entries = folder.join(part).read_dir().ok()?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().find(|path| {
        ImageFormat::from_path(path).is_ok() && path.file_stem().is_some_and(|stem| stem == name)
    })
}

fn open(path: &Path) -> anyhow::Result<DynamicImage> {
    let reading = || format!("cannot read {}", path.display());
    let mut reader = ImageReader::open(path).with_context(reading)?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    reader.with_guessed_format().with_context(reading)?.decode().with_context(reading)
}

/// White is vessel.
fn drawn(mask: DynamicImage) -> Vec<bool> {
    mask.into_luma8().into_raw().iter().map(|&grey| grey > GREY).collect()
}

fn find(folder: &Path, part: &str, file: &str) -> Option<PathBuf> {
    [folder.join(part).join(file), folder.join(file)].into_iter().find(|path| path.is_file())
}

fn chase_stem(name: &str) -> String {
    format!("Image_{name}")
}

/// What is brighter is white.
const GREY: u8 = 127;
const CHASE_WIDTH: u32 = 999;
const CHASE_SIDE: u32 = 960;
const CHASE_LEFT: u32 = 18;
/// 64 million pixels of colour and some room.
const MAX_BYTES: u64 = 256 << 20;
const WANTED: &str = "give CHASE_DB1 (it is CC BY 4.0: doi 10.1109/TBME.2012.2205687), or a folder with \
                      images/NAME.* and masks/NAME.*, white for vessel";

/// An eye of CHASE_DB1: child 1 to 14, left and right. Both eyes of a child are on one side of every split.
pub(super) fn chase_names(children: std::ops::RangeInclusive<u32>) -> Vec<String> {
    children.flat_map(|child| ["L", "R"].map(|eye| format!("{child:02}{eye}"))).collect()
}
