//! `qsegment segment`: pictures in, masks out, without a camera.

mod names;
mod summary;
pub(crate) mod whole_frame;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Args;
use image::{ExtendedColorType, ImageFormat};
use qsegment::outputs::overlay::{self, Freshness, Overlay, Scale, Style};
use qsegment::pipeline::Frame;
use qsegment::pipeline::field_of_view::FieldOfView;
use qsegment::pipeline::measurements::Measuring;
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::simulated::picture::Picture;

use super::config::{Config, Fraction};
use super::network::{self, NetworkArgs};
use super::out::{Out, complain};
use super::progress::Progress;
use super::{Code, Failure, Form, write};
use summary::{Failed, Segmented, Summary};
use whole_frame::WholeFrame;

/// Segment the vessels of pictures
///
/// Each picture NAME.* gives NAME_mask.png (white where the vessel probability reaches the threshold),
/// NAME_probability.png (0 to 255 for 0.0 to 1.0) and NAME_overlay.png, all as large as the picture, and
/// a line in summary.csv. Two pictures of the same name get distinct results (NAME_png, NAME_jpg,
/// NAME_png-2). Results of an earlier run in the same folder are replaced, each file whole.
///
/// The whole picture, its aspect kept, is what the network sees. A picture that cannot be read is named
/// on standard error and left out; the others go on, and the exit code is 1.
#[derive(Debug, Args)]
pub(crate) struct SegmentArgs {
    /// Pictures (PNG, JPEG, TIFF, BMP, GIF, WebP, PNM; at most 64 million pixels) or folders of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Folder for the results; made if it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Least vessel probability of the mask, 0.0 to 1.0 [default: 0.5]
    #[arg(long, value_name = "PROBABILITY")]
    threshold: Option<Fraction>,
}

pub(crate) fn segment(
    args: &SegmentArgs,
    mut config: Config,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    args.network.over(&mut config.network);
    if let Some(threshold) = args.threshold {
        config.pipeline.threshold = threshold;
    }
    let pictures = find(&args.images)?;
    let chosen = network::load(&config.network, args.network.input_size)?;
    let names = names::distinct(&pictures);
    refuse_to_mix(&args.images, &args.output)?;
    refuse_to_replace_a_picture(&pictures, &names, &args.output)?;

    let csv = args.output.join("summary.csv");
    // An earlier one would pass for this run's if this one came to nothing.
    write::remove(&csv)?;

    let mut work = Work {
        clock: Clock::monotonic(StopSignal::default()),
        whole_frame: WholeFrame::new(&chosen.network)?,
        field_of_view: FieldOfView::default(),
        measuring: Measuring::default(),
        overlay: Overlay::default(),
        style: config.overlay.style(Scale::One),
        threshold: config.pipeline.threshold_byte(),
        output: &args.output,
    };
    let mut summary = Summary::new(chosen.identity, config.pipeline.threshold.get());
    let progress = Progress::new(Some(pictures.len() as u64));
    for ((done, picture), name) in (0..).zip(&pictures).zip(names) {
        progress.set(done);
        progress.say(picture.display().to_string());
        match work.segment(picture, name) {
            Ok(segmented) => {
                if form == Form::Text {
                    progress.aside(|| out.line(&segmented))?;
                }
                summary.pictures.push(segmented);
            }
            Err(Refused::Picture(error)) => {
                let error = format!("{error:#}");
                progress.aside(|| complain(&error));
                summary.failed.push(Failed { file: picture.display().to_string(), error });
            }
            // With nowhere to write, the next picture would fail as well.
            Err(Refused::Output(error)) => return Err(error.into()),
        }
    }
    drop(progress);
    if !summary.pictures.is_empty() {
        write::file(&csv, |writer| summary.write_csv(writer))?;
    }
    match form {
        Form::Json => out.json(&summary)?,
        Form::Text if !summary.pictures.is_empty() => out.line(format_args!(
            "{} of {} pictures segmented into {}; research use only, not a medical device",
            summary.pictures.len(),
            pictures.len(),
            args.output.display()
        ))?,
        Form::Text => {}
    }
    Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { Code::Failed.into() })
}

/// The pictures that the arguments name: files as they stand, folders' pictures in order of name.
fn find(arguments: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for argument in arguments {
        if argument.is_dir() {
            found.extend(pictures_of(argument)?);
        } else {
            found.push(argument.clone());
        }
    }
    Ok(found)
}

fn pictures_of(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let reading = || format!("cannot read the folder {}", folder.display());
    let mut pictures = Vec::new();
    for entry in folder.read_dir().with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let readable = ImageFormat::from_path(&path).is_ok_and(|format| format.reading_enabled());
        if readable && path.is_file() {
            pictures.push(path);
        }
    }
    ensure!(
        !pictures.is_empty(),
        "the folder {} holds no picture; put PNG, JPEG, TIFF, BMP, GIF, WebP or PNM files into it",
        folder.display()
    );
    pictures.sort();
    Ok(pictures)
}

/// Results among the pictures of a folder would be taken for pictures the next time.
fn refuse_to_mix(arguments: &[PathBuf], output: &Path) -> anyhow::Result<()> {
    let Ok(output) = output.canonicalize() else { return Ok(()) };
    let mixed = arguments.iter().find(|argument| {
        argument.is_dir() && argument.canonicalize().is_ok_and(|folder| folder == output)
    });
    if let Some(folder) = mixed {
        bail!(
            "the results would lie among the pictures of {}; give another folder with -o",
            folder.display()
        );
    }
    Ok(())
}

/// Results are replaced without a question, so none may bear the name of a picture that is read.
fn refuse_to_replace_a_picture(
    pictures: &[PathBuf],
    names: &[String],
    output: &Path,
) -> anyhow::Result<()> {
    let Ok(output) = output.canonicalize() else { return Ok(()) };
    let results: HashSet<PathBuf> = names
        .iter()
        .flat_map(|name| RESULTS.map(|what| output.join(file_name(name, what))))
        .collect();
    for picture in pictures {
        if picture.canonicalize().is_ok_and(|picture| results.contains(&picture)) {
            bail!(
                "the results would replace the picture {}; give another folder with -o",
                picture.display()
            );
        }
    }
    Ok(())
}

const RESULTS: [&str; 3] = ["mask", "probability", "overlay"];

fn file_name(name: &str, what: &str) -> String {
    format!("{name}_{what}.png")
}

/// What every picture needs.
struct Work<'a> {
    clock: Clock,
    whole_frame: WholeFrame,
    field_of_view: FieldOfView,
    measuring: Measuring,
    overlay: Overlay,
    style: Style,
    threshold: u8,
    output: &'a Path,
}

/// Why a picture has no results.
enum Refused {
    Picture(anyhow::Error),
    Output(anyhow::Error),
}

impl Work<'_> {
    fn segment(&mut self, file: &Path, name: String) -> Result<Segmented, Refused> {
        let started = self.clock.now();
        let picture = Picture::open_whole(file).map_err(|e| Refused::Picture(e.into()))?;
        let frame = self.whole_frame.segment(picture, self.threshold);
        let size = (frame.width, frame.height);
        let field = self.field_of_view.find(&frame.rgb, size, size);
        let measured =
            self.measuring.measure(&frame.probability, self.threshold, field, frame.width);
        let took = self.clock.now().since(started);
        self.write(&frame, &name).map_err(Refused::Output)?;
        Ok(Segmented::new(file, name, &frame, measured, took))
    }

    fn write(&mut self, frame: &Frame, name: &str) -> anyhow::Result<()> {
        write::folder(self.output)?;
        let size = (frame.width, frame.height);
        let path = |what| self.output.join(file_name(name, what));
        write::png(&path("mask"), &overlay::mask(frame), size, ExtendedColorType::L8)?;
        write::png(&path("probability"), &frame.probability, size, ExtendedColorType::L8)?;
        let drawn = self.overlay.draw(Some(frame), self.style, Freshness::Live);
        write::png(&path("overlay"), drawn.rgb, size, ExtendedColorType::Rgb8)
    }
}
