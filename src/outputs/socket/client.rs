//! One client: what it is told, what it asks for, and when it is sent away.
//!
//! ```text
//!   hello ---> no request yet ---request---> newest frame at once, then each newer one
//!                    |                        |   ^                |
//!                    |                        |   +---- request ---+   (may change at any time)
//!                    |                        +--- a second without a frame: silent, and again
//!                    +--> it leaves, a bad request, a message not read in time, the end of the run
//! ```

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::WriteHalf;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::{News, Site};
use crate::formats::reader::ParseError;
use crate::formats::socket::{FrameHeader, REQUEST_LEN, Request, Silent};
use crate::outputs::overlay::Freshness;
use crate::pipeline::Frame;
use crate::source::clock::Timestamp;

/// Until it ends, which is counted.
pub(super) async fn converse(
    mut stream: UnixStream,
    site: &Site,
    news: watch::Receiver<Option<News>>,
) {
    site.counts.counts().clients += 1;
    let ended = Client::new(site).converse(&mut stream, news).await;
    let mut counts = site.counts.counts();
    counts.clients -= 1;
    match ended {
        Ended::Gone => {}
        Ended::TooSlow => {
            counts.too_slow += 1;
            let after = site.options.drop_after;
            tracing::info!("a client of the socket has not read for {after:?} and was sent away");
        }
        Ended::BadRequest(error) => {
            counts.bad_request += 1;
            tracing::info!("a client of the socket was sent away, its request is none: {error}");
        }
    }
}

/// Why a connection is over.
enum Ended {
    /// The client has left, or the run has ended.
    Gone,
    TooSlow,
    BadRequest(ParseError),
}

struct Client<'a> {
    site: &'a Site,
    /// None until it has said what it wants.
    wants: Option<Request>,
    /// Number of the frame that it got last.
    got: Option<u64>,
    /// The message that is being sent.
    message: Vec<u8>,
}

impl<'a> Client<'a> {
    fn new(site: &'a Site) -> Self {
        Self { site, wants: None, got: None, message: Vec::new() }
    }

    async fn converse(
        &mut self,
        stream: &mut UnixStream,
        mut news: watch::Receiver<Option<News>>,
    ) -> Ended {
        let (mut read, mut write) = stream.split();
        if let Err(ended) = self.write(&mut write, &self.site.hello).await {
            return ended;
        }
        let (mut request, mut filled) = ([0; REQUEST_LEN], 0);
        let mut silence = Instant::now() + SILENCE;
        loop {
            let sent = tokio::select! {
                read = read.read(&mut request[filled..]) => {
                    match read {
                        Ok(0) | Err(_) => return Ended::Gone,
                        Ok(len) => filled += len,
                    }
                    if filled < REQUEST_LEN {
                        continue;
                    }
                    filled = 0;
                    match Request::parse(&request) {
                        Ok(wants) => self.wants = Some(wants),
                        Err(error) => return Ended::BadRequest(error),
                    }
                    if self.got.is_none() {
                        // What is there already is sent at once, and says itself how old it is.
                        news.mark_changed();
                    }
                    silence = Instant::now() + SILENCE;
                    continue;
                }
                changed = news.changed(), if self.wants.is_some() => {
                    if changed.is_err() {
                        return Ended::Gone;
                    }
                    // Let go of before the first byte is written: the pipeline may need the frame.
                    let newest = news.borrow_and_update().clone();
                    let Some(newest) = newest else { continue };
                    self.make_frame(&newest);
                    drop(newest);
                    self.write(&mut write, &self.message).await
                }
                () = sleep_until(silence), if self.wants.is_some() => {
                    let newest = news.borrow().as_ref().map(|news| news.frame.stamps.received);
                    self.make_silent(newest);
                    self.write(&mut write, &self.message).await
                }
            };
            if let Err(ended) = sent {
                return ended;
            }
            silence = Instant::now() + SILENCE;
        }
    }

    fn make_frame(&mut self, newest: &News) {
        let News { published, frame } = newest;
        let skipped = self.got.map_or(0, |got| published.saturating_sub(got + 1));
        self.got = Some(*published);
        let wants = self.wants.unwrap_or_default();
        let wanted = |wants: bool, map: &'_ [u8]| if wants { map.len() } else { 0 };
        let probability = wanted(wants.probability, &frame.probability);
        let picture = wanted(wants.picture && self.site.options.pictures, &frame.rgb);
        self.message.clear();
        self.message.reserve(FrameHeader::LEN + probability + picture);
        header(self.site, frame, skipped, [probability, picture]).emit(&mut self.message);
        self.message.extend(&frame.probability[..probability]);
        self.message.extend(&frame.rgb[..picture]);
        let mut counts = self.site.counts.counts();
        counts.frames += 1;
        counts.skipped += skipped;
    }

    fn make_silent(&mut self, newest: Option<Timestamp>) {
        let silent = self.site.clock.now().since(newest.unwrap_or(self.site.opened));
        self.message.clear();
        Silent { silent_ns: nanoseconds(silent) }.emit(&mut self.message);
    }

    async fn write(&self, stream: &mut WriteHalf<'_>, message: &[u8]) -> Result<(), Ended> {
        let written: Result<io::Result<()>, _> =
            timeout(self.site.options.drop_after, stream.write_all(message)).await;
        match written {
            Err(_) => Err(Ended::TooSlow),
            Ok(Err(_)) => Err(Ended::Gone),
            Ok(Ok(())) => {
                self.site.counts.counts().bytes += message.len() as u64;
                Ok(())
            }
        }
    }
}

fn header(site: &Site, frame: &Frame, skipped: u64, lens: [usize; 2]) -> FrameHeader {
    let Site { clock, limits, .. } = site;
    let now = clock.now();
    let host = |at: Timestamp| nanoseconds(clock.kernel_stamp(at));
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let Frame { stamps, sensor, kpi, .. } = frame;
    let freshness = Freshness::of(Some(frame), now, limits.stale_after());
    FrameHeader {
        sequence: frame.sequence,
        skipped,
        frame_start_ns: stamps.frame_start.0,
        tensor_at_host_ns: stamps.tensor_at_host.0,
        received_ns: host(stamps.received),
        mask_ready_ns: host(stamps.mask_ready),
        sent_ns: host(now),
        exposure_ns: sensor.exposure().map_or(0, nanoseconds),
        live: freshness == Freshness::Live,
        frame_count: frame.frame_count,
        lag_frames: frame.lag_frames,
        dnn_run_time_us: kpi.map_or(0, |kpi| kpi.dnn_runtime_us),
        dsp_run_time_us: kpi.map_or(0, |kpi| kpi.dsp_runtime_us),
        analogue_gain: sensor.analogue_gain().unwrap_or_default(),
        temperature_celsius: sensor.temperature_celsius,
        vessel_fraction: frame.vessel_fraction,
        threshold: frame.threshold,
        mask_size: [small(frame.mask_width), small(frame.mask_height)],
        picture_size: [small(frame.width), small(frame.height)],
        probability_len: small(lens[0]),
        picture_len: small(lens[1]),
        window: frame.window.map(|window| [window.left, window.top, window.width, window.height]),
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A client that hears nothing for longer knows that the daemon hangs.
const SILENCE: Duration = Duration::from_secs(1);
