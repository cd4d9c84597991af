//! The whole way, through the daemon as people start it: picture and mask that meet on the glass are of one frame,
//! whatever goes wrong before.
//!
//! ```text
//!   this process                    kernel                            the daemon's process
//!   numbered scene -> simulated -> feed node -> virtual IMX500 -----> decode -> pair -> vessels -> draw --+
//!   sensor, with faults                                                                                   |
//!                                               vkms <------------------------- one atomic commit --------+
//!   numbers <------- writeback ------------------+
//! ```
//!
//! Only the daemon is the card's master, so the writeback is asked for through the daemon's own open card
//! (pidfd_getfd), and its commits come between the daemon's.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use qsegment::outputs::hdmi::layout::Layout;
use qsegment::pipeline::geometry::Size;
use qsegment::source::clock::{Clock, StopSignal};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open,
};

use crate::bench::card;
use crate::numbered_scene::{NUMBERS, SIDE, World, numbers};
use crate::writeback::{Glass, Writeback};

const SCREEN: (u32, u32) = (640, 480);
const FRAMES: usize = 300;

#[test]
fn three_hundred_frames_under_load_never_mix() {
    let Some(bench) = Bench::new() else { return };
    let _load = Load::on_every_processor();
    bench.show_frames(&[]);
}

#[test]
fn three_hundred_frames_with_every_fault_never_mix() {
    let Some(bench) = Bench::new() else { return };
    let faults = [
        "dropped-tensor:20-100000:every=13",
        "invalid-flag:21-100000:every=17",
        "corrupt-ap-params:22-100000:every=19",
        "lost-buffer:23-100000:every=23",
        "truncated-buffer:24-100000:every=29",
        "counter-jump:25-100000:every=41",
        "stalled-source:60-100000:every=97",
    ];
    let happened = bench.show_frames(&faults);
    for fault in faults {
        let name = fault.split(':').next().unwrap();
        assert!(happened.iter().any(|&(fault, times)| fault == name && times > 0), "{happened:?}");
    }
}

/// What the suite has made and loaded.
pub(crate) struct Bench {
    card: PathBuf,
    qsegment: PathBuf,
    files: PathBuf,
}

impl Bench {
    #[expect(clippy::print_stderr, reason = "what is skipped must be seen")]
    pub(crate) fn new() -> Option<Self> {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        let (qsegment, files) = (path("QSEGMENT_DISPLAY_DAEMON"), path("QSEGMENT_VM_FILES"));
        if qsegment.is_none() || files.is_none() {
            eprintln!("SKIPPED: no daemon and no virtual camera");
        }
        Some(Self { card: card()?, qsegment: qsegment?, files: files? })
    }

    /// Looks at the glass until it has shown as many different frames. Tells how often each fault has happened.
    #[expect(clippy::print_stderr, reason = "how much was seen")]
    fn show_frames(&self, faults: &[&str]) -> Vec<(&'static str, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("scene");
        fs::create_dir(&scene).unwrap();
        // Solid, so that a number can be read off the glass; late as a slow machine is.
        let config = "[pipeline]\nstale_after_ms = 3000\n[overlay]\nopacity = 1.0\n[hdmi]\nmode = \"640x480\"\n";
        let network = self.files.join("network.rpk");
        let camera = ["--source", "imx500", "--network", network.to_str().unwrap()];
        let daemon = Daemon::start(self, folder.path(), config, &camera);
        let world = World::start(&scene, faults);
        let mut writeback = daemon.writeback(SCREEN);
        let layout = layout();
        // Nothing was shown before the first frame came.
        daemon.wait(|| {
            let glass = writeback.capture();
            let live = numbers(|x, y| at(&glass, &layout, x, y)).one();
            live.is_some_and(|number| number > 0).then_some(())
        });
        let (mut captures, mut withheld) = (0, 0);
        let mut shown: Vec<u64> = Vec::new();
        while shown.len() < FRAMES {
            daemon.must_live();
            let glass = writeback.capture();
            captures += 1;
            let found = numbers(|x, y| at(&glass, &layout, x, y));
            if is_a_sign(&glass) {
                withheld += 1;
                assert_eq!(found.mask, [0; 2], "capture {captures}: a sign has no mask");
                continue;
            }
            let Some(number) = found.one() else {
                glass.keep("mixed");
                panic!("capture {captures}: picture and mask are not of one frame: {found:?}");
            };
            match shown.last() {
                Some(&before) if before == number => {}
                Some(&before) if (number + NUMBERS - before) % NUMBERS > NUMBERS / 2 => {
                    panic!("capture {captures}: frame {number} comes after {before}")
                }
                _ => shown.push(number),
            }
        }
        let happened = world.end();
        daemon.end();
        eprintln!("{captures} captures, {FRAMES} frames, {withheld} withheld; {happened:?}");
        happened
    }
}

/// The whole sensor is squeezed into the square tensor; on the glass it has its own aspect again.
fn layout() -> Layout {
    let seen = Size::new(4056, 3040).unwrap();
    Layout::new(Size::new(640, 480).unwrap(), seen, true)
}

/// Whether the screen says that it is not live.
pub(crate) fn is_a_sign(glass: &Glass) -> bool {
    [[255, 176, 0], [230, 230, 230], [255, 70, 60]].iter().any(|&colour| glass.is_hatched(colour))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is on the glass")]
fn at(glass: &Glass, layout: &Layout, x: f64, y: f64) -> [u8; 3] {
    let area = layout.picture;
    let place = |at: f64, of: usize| (at * of as f64 / SIDE as f64) as usize;
    glass.at(area.left + place(x, area.width), area.top + place(y, area.height))
}

/// The daemon in a process of its own; killed when it is dropped before its end.
pub(crate) struct Daemon {
    child: std::cell::RefCell<Child>,
    card: PathBuf,
    said: PathBuf,
}

impl Daemon {
    pub(crate) fn start(bench: &Bench, folder: &Path, config: &str, arguments: &[&str]) -> Self {
        let (file, said) = (folder.join("config.toml"), folder.join("said"));
        fs::write(&file, config).unwrap();
        let mut hdmi = OsString::from("--hdmi=");
        hdmi.push(&bench.card);
        let child = Command::new(&bench.qsegment)
            .arg("--config")
            .arg(file)
            .args(["run", "--no-web", "--inference", "sensor"])
            .args(arguments)
            .arg(hdmi)
            .env("QSEGMENT_LOG", "info")
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("printed")).unwrap())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        Self { child: child.into(), card: bench.card.clone(), said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    fn must_live(&self) {
        let ended = self.child.borrow_mut().try_wait().unwrap();
        assert_eq!(ended, None, "the daemon has ended: {}", self.said());
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child.borrow())
    }

    /// Of its glass, once there is something on it.
    pub(crate) fn writeback(&self, screen: (u32, u32)) -> Writeback {
        let rung = std::env::var("QSEGMENT_DISPLAY_RUNG").unwrap();
        self.wait(|| self.said().contains(&rung).then_some(()));
        let mut writeback = Writeback::new(self.open_card(), screen);
        self.wait(|| writeback.try_capture().ok());
        writeback
    }

    fn open_card(&self) -> OwnedFd {
        let pid = self.pid();
        let folder = format!("/proc/{}/fd", pid.as_raw_nonzero());
        let is_card = |path: &PathBuf| fs::read_link(path).is_ok_and(|target| target == self.card);
        let entry = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(is_card);
        let entry = entry.expect("the daemon has opened its card");
        let number = entry.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        pidfd_getfd(process, number, PidfdGetfdFlags::empty()).unwrap()
    }

    pub(crate) fn wait<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        let clock = Clock::monotonic(StopSignal::default());
        let began = clock.now();
        loop {
            if let Some(ready) = ready() {
                return ready;
            }
            self.must_live();
            assert!(clock.now().since(began) < FOR_EVER, "nothing is shown: {}", self.said());
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn end(self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let ended = self.child.borrow_mut().wait().unwrap();
        let said = self.said();
        assert!(ended.success(), "{ended}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // After a good end there is nothing to kill.
        let _ = self.child.borrow_mut().kill();
        let _ = self.child.borrow_mut().wait();
    }
}

/// Threads that do nothing but take time from everybody, until it is dropped.
struct Load {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn on_every_processor() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let spin = |ended: Arc<AtomicBool>| {
            move || {
                while !ended.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        };
        let count = thread::available_parallelism().map_or(2, usize::from);
        let threads = (0..count).map(|_| thread::spawn(spin(Arc::clone(&ended)))).collect();
        Self { ended, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It only counts the time away.
            let _ = thread.join();
        }
    }
}

/// Longer than any machine needs; only a hang reaches it.
const FOR_EVER: Duration = Duration::from_secs(120);
