//! Reads masks and pictures from a running daemon, on its Unix socket (`socket.path` in config.toml).
//!
//! ```sh
//! cargo run --example read_frames -- /run/qsegment/frames.sock 10
//! ```
//!
//! `read_frames.py` beside it does the same in Python.

use std::error::Error;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use qsegment::formats::socket::{FrameHeader, Kind, PREFIX_LEN, Prefix, Request, Silent};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("give the path of the socket, and how many frames to read")?;
    let frames = args.next().map_or(Ok(u64::MAX), |count| count.parse())?;
    read_frames(Path::new(&path), frames, &mut io::stdout().lock())
}

/// Writes a line for each message until there were so many frames.
pub(crate) fn read_frames(
    path: &Path,
    frames: u64,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let mut socket = UnixStream::connect(path)?;
    socket.write_all(&Request { probability: true, picture: true }.emit())?;
    let (mut header, mut payload) = (Vec::new(), Vec::new());
    let mut read = 0;
    while read < frames {
        match read_message(&mut socket, &mut header, &mut payload)?.kind {
            Kind::Hello => writeln!(out, "hello {}", std::str::from_utf8(&payload)?)?,
            Kind::Frame => {
                let frame = FrameHeader::parse(&header)?;
                let (probability, picture) =
                    payload.split_at(usize::try_from(frame.probability_len)?);
                tell(&frame, probability, picture, out)?;
                read += 1;
            }
            Kind::Silent => {
                let seconds = Silent::parse(&header)?.silent_ns / 1_000_000_000;
                writeln!(out, "silent for {seconds} s")?;
            }
            // Of a later daemon.
            Kind::Other(_) => {}
        }
    }
    Ok(())
}

/// One message: 16 bytes say how long the rest is.
fn read_message(
    socket: &mut UnixStream,
    header: &mut Vec<u8>,
    payload: &mut Vec<u8>,
) -> Result<Prefix, Box<dyn Error>> {
    header.resize(PREFIX_LEN, 0);
    socket.read_exact(header)?;
    let prefix = Prefix::parse(header)?;
    header.resize(prefix.header_len, 0);
    socket.read_exact(&mut header[PREFIX_LEN..])?;
    payload.resize(prefix.payload_len, 0);
    socket.read_exact(payload)?;
    Ok(prefix)
}

fn tell(
    frame: &FrameHeader,
    probability: &[u8],
    picture: &[u8],
    out: &mut impl Write,
) -> io::Result<()> {
    // The two clocks never mix: a duration is taken on each, and the durations are added.
    let on_sensor = frame.tensor_at_host_ns - frame.frame_start_ns;
    let on_host = frame.sent_ns.saturating_sub(frame.received_ns);
    let age_ms = (on_sensor + on_host) as f64 / 1e6;
    let vessel = probability.iter().filter(|&&p| p >= frame.threshold).count();
    let ([width, height], [across, down]) = (frame.mask_size, frame.picture_size);
    writeln!(
        out,
        "frame {} skipped {} live {} age {age_ms:.1} ms mask {width}x{height} vessel {vessel} picture \
         {across}x{down} bytes {}",
        frame.sequence,
        frame.skipped,
        u8::from(frame.live),
        picture.len(),
    )
}
