//! Time to make a network.rpk of 5 MB out of a packerOut.zip, from file to file.
//!
//! `cargo bench --bench packaging`; one thread. The copy beside it is what the disk and its cache take.
#![expect(clippy::print_stdout, reason = "what a bench is for")]

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use qsegment::formats::input_tensor::ColourOrder;
use qsegment::formats::packer_out::PackerOut;
use qsegment::formats::rpk::Rpk;

#[path = "../tests/packer_out/mod.rs"]
mod packer_out;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for two files");
    let (zip, rpk) = (folder.path().join("packerOut.zip"), folder.path().join("network.rpk"));
    fs::write(&zip, packer_out::Made::new(320, 5_000_000).zip()).expect("the folder is ours");
    report("pack", || pack(&zip, &rpk));
    let file = fs::read(&rpk).expect("it was just written");
    report("parse", || drop(Rpk::parse(&file).expect("it is whole")));
    report("copy", || fs::write(folder.path().join("copy"), &file).expect("the folder is ours"));
    println!("{} bytes of {}", file.len(), fs::metadata(&zip).expect("it is there").len());
}

fn pack(zip: &Path, rpk: &Path) {
    let file = BufReader::new(File::open(zip).expect("it was written"));
    let packer_out = PackerOut::read(file).expect("it is whole");
    let mut to = BufWriter::new(File::create(rpk).expect("the folder is ours"));
    packer_out.into_rpk(ColourOrder::Rgb).expect("it fits").write(&mut to).expect("there is room");
    to.flush().expect("there is room");
}

fn report(name: &str, mut run: impl FnMut()) {
    const ROUNDS: u32 = 20;
    let before = cpu_time();
    (0..ROUNDS).for_each(|_| run());
    match before.zip(cpu_time()) {
        Some((before, after)) => {
            println!("{name:6} {:6.2} ms of CPU", ((after - before) / ROUNDS).as_secs_f64() * 1e3);
        }
        None => println!("{name:6} unknown: this system does not tell a thread's time"),
    }
}

/// What this thread has spent on a processor (Linux, "schedstats" of its kernel's documentation).
fn cpu_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
