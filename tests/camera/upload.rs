//! Stream start: progress, stalls, and every way in which the driver refuses.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::{self, CameraError, Imx500, UploadReport, UploadStage, Uploaded};
use qsegment::source::recovery::Remedy;
use qsegment::source::{FrameSource, Next, Quality, RawFrame, SourceError};

use crate::bench::{Bench, Parameter, descriptors};

#[test]
fn upload_is_reported_to_its_end() {
    let Some(bench) = Bench::new() else { return };
    let (told, reports) = std::sync::mpsc::channel();
    let mut camera = Imx500::open(
        bench.options(),
        Clock::monotonic(StopSignal::default()),
        Box::new(move |report| told.send(report).unwrap()),
    )
    .expect("the camera is free");
    let fed = bench.feed(5);
    camera.next(&mut RawFrame::default()).unwrap();
    drop(camera);
    fed.end();
    let reports: Vec<UploadReport> = reports.iter().collect();
    let (last, before) = reports.split_last().expect("the end at least");
    let UploadReport::Done(Uploaded { cached: Some(_), .. }) = last else { panic!("{last:?}") };
    assert!(before.iter().all(|report| matches!(report, UploadReport::Progress(_))));
}

/// Stage, errno, and what has to be said of it.
const FAILURES: [(u8, i32, &str); 12] = [
    (0, libc_errno::EBUSY, "wait 10 seconds"),
    (2, libc_errno::EBUSY, "wait 10 seconds"),
    (0, libc_errno::EAGAIN, "does not answer"),
    (1, libc_errno::EAGAIN, "does not answer"),
    (2, libc_errno::EAGAIN, "does not answer"),
    (0, libc_errno::EREMOTEIO, "--reinstall imx500-firmware"),
    (1, libc_errno::EREMOTEIO, "--reinstall imx500-firmware"),
    (2, libc_errno::EREMOTEIO, "converted for another firmware"),
    (1, libc_errno::EIO, "seat the camera's cable anew"),
    (2, libc_errno::EIO, "seat the camera's cable anew"),
    (2, libc_errno::ENODEV, "the bridge to it"),
    (2, libc_errno::ETIMEDOUT, "does not answer"),
];

/// Linux's numbers (asm-generic/errno.h).
mod libc_errno {
    pub(super) const EIO: i32 = 5;
    pub(super) const EAGAIN: i32 = 11;
    pub(super) const EBUSY: i32 = 16;
    pub(super) const ENODEV: i32 = 19;
    pub(super) const ETIMEDOUT: i32 = 110;
    pub(super) const EREMOTEIO: i32 = 121;
}

#[test]
fn every_failure_of_every_stage_is_one_line_with_stage_cause_and_next_step() {
    let Some(bench) = Bench::new() else { return };
    let open_before = descriptors();
    // A sensor that stays powered keeps its firmware, and would not be given it again.
    // Not so soon, though, that it forgets where it failed before anybody has looked.
    let _impatient = Parameter::set("autosuspend_ms", 300);
    for (stage, errno, step) in FAILURES {
        thread::sleep(Duration::from_millis(1000));
        let failing = [Parameter::set("fail_stage", stage), Parameter::set("fail_errno", errno)];
        let mut camera = bench.open(|_| {});
        let error = camera.next(&mut RawFrame::default()).unwrap_err();
        let SourceError::Camera(CameraError::Upload(upload)) = &error else { panic!("{error}") };
        assert_eq!(upload.errno.raw_os_error(), errno);
        let said = error.to_string();
        assert!(said.contains(step) && !said.contains('\n'), "{said}");
        let stages = ["loader", "main firmware", "network"];
        // Root reads the driver's files, in which a stage stands once the sensor has agreed to it.
        if stage > 0 && !matches!(errno, libc_errno::EBUSY | libc_errno::EAGAIN) {
            assert!(
                said.contains(&format!("in the {} stage", stages[usize::from(stage)])),
                "{said}"
            );
        }
        // The same camera starts when the cause has gone.
        drop(failing);
        camera.recover(Remedy::SetNetwork).unwrap();
        let fed = bench.feed(3);
        assert_eq!(camera.next(&mut RawFrame::default()), Ok(Next::Frame), "after {said}");
        drop(camera);
        fed.end();
    }
    assert_eq!(descriptors(), open_before);
}

#[test]
fn refused_networks_are_told_by_what_is_wrong_with_them() {
    let Some(bench) = Bench::new() else { return };
    for (file, reason) in [
        ("refused-text.rpk", "block magic at byte 0x0000"),
        ("refused-footer.rpk", "block footer at byte"),
        ("refused-address.rpk", "imx500_regs entry 0: address at byte"),
        ("refused-value.rpk", "imx500_regs entry 0"),
        ("refused-no-registers.rpk", "imx500_regs in the cpio archive"),
    ] {
        let mut camera = bench.open(|options| options.network = Some(bench.file(file)));
        let error = camera.next(&mut RawFrame::default()).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("the driver refuses the network "), "{said}");
        assert!(said.contains(reason) && said.contains("qsegment pack"), "{said}");
    }
}

#[test]
fn empty_network_is_refused_before_the_start() {
    let Some(bench) = Bench::new() else { return };
    let mut options = bench.options();
    options.network = Some(bench.file("refused-empty.rpk"));
    let clock = Clock::monotonic(StopSignal::default());
    let Err(error) = Imx500::open(options, clock, Box::new(|_| {})) else { panic!("empty") };
    let said = error.to_string();
    assert!(said.contains("refused-empty.rpk") && said.contains("is empty"), "{said}");
}

#[test]
fn stall_is_found_told_and_survived() {
    let Some(bench) = Bench::new() else { return };
    let _stalling = [Parameter::set("stall_stage", 2), Parameter::set("stall_ms", 4000)];
    let (mut camera, reports) = open_told(&bench, |options| {
        options.stall_after = Duration::from_secs(1);
        options.network = Some(bench.file("large.rpk"));
    });
    let fed = bench.feed(3);
    assert_eq!(camera.next(&mut RawFrame::default()), Ok(Next::Frame));
    drop(camera);
    fed.end();
    let stalled = reports.iter().find_map(|report| match report {
        UploadReport::Progress(progress) => progress.stalled.map(|_| progress),
        UploadReport::Done(_) => None,
    });
    let stalled = stalled.expect("four seconds are more than one");
    assert_eq!(stalled.stage, Some(UploadStage::Network));
    assert!(stalled.to_string().contains("STALLED for"), "{stalled}");
}

#[test]
fn stored_network_is_told_from_an_uploaded_one() {
    let Some(bench) = Bench::new() else { return };
    let _slow = Parameter::set("piece_ms", 600);
    for (cached, wanted) in [("0", false), ("1", true)] {
        let _cached = Parameter::set("cached", cached);
        let (mut camera, reports) =
            open_told(&bench, |options| options.network = Some(bench.file("large.rpk")));
        let fed = bench.feed(3);
        assert_eq!(camera.next(&mut RawFrame::default()), Ok(Next::Frame));
        drop(camera);
        fed.end();
        let reports: Vec<UploadReport> = reports.iter().collect();
        let Some(UploadReport::Done(uploaded)) = reports.last() else { panic!("{reports:?}") };
        assert_eq!((uploaded.cached, uploaded.quality), (Some(wanted), Quality::Measured));
        let stages: Vec<_> = reports
            .iter()
            .filter_map(|report| match report {
                UploadReport::Progress(progress) => progress.stage,
                UploadReport::Done(_) => None,
            })
            .collect();
        assert!(stages.contains(&UploadStage::Network), "{stages:?}");
        assert!(stages.is_sorted_by_key(|stage| *stage as u8), "{stages:?}");
    }
}

#[test]
fn stop_during_an_upload_is_told_and_obeyed_after_it() {
    let Some(bench) = Bench::new() else { return };
    let _stalling = [Parameter::set("stall_stage", 1), Parameter::set("stall_ms", 2000)];
    let (told, reports) = mpsc::channel();
    let stop = StopSignal::default();
    let raising = stop.clone();
    let mut camera = Imx500::open(
        bench.options(),
        Clock::monotonic(stop),
        Box::new(move |report| {
            raising.raise();
            told.send(report).unwrap();
        }),
    )
    .expect("the camera is free");
    assert_eq!(camera.next(&mut RawFrame::default()), Ok(Next::Ended));
    drop(camera);
    let said = |report: UploadReport| match report {
        UploadReport::Progress(progress) => progress.stop_requested,
        UploadReport::Done(_) => false,
    };
    assert!(reports.iter().any(said));
}

fn open_told(
    bench: &Bench,
    change: impl FnOnce(&mut imx500::Options),
) -> (Imx500, mpsc::Receiver<UploadReport>) {
    let (told, reports) = mpsc::channel();
    let mut options = bench.options();
    change(&mut options);
    let clock = Clock::monotonic(StopSignal::default());
    let on_upload = Box::new(move |report| told.send(report).unwrap());
    (Imx500::open(options, clock, on_upload).expect("the camera is free"), reports)
}
