//! The "power" threads: each owns one instrument, so that one that hangs keeps nobody waiting.
//!
//! ```text
//!   begin, end --Order--> "power-hwmon"   read -> Meter     every period; after a failure twice as long, and so
//!                         "power-rapl"    read -> Meter     on up to LONGEST_PAUSE
//!                         ...                   |
//!   Meters <----------------- Metered ----------+
//! ```
//!
//! A failure is counted each time and told once. Nothing here ends a run: at its end a thread that hangs in the
//! kernel is left behind.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Observer;
use super::energy::{Meter, Metered};
use crate::source::clock::Clock;
use crate::source::power::{Instrument, PowerSource, ReadError};

/// Instruments that are read. Dropping it takes the last readings and ends the threads.
#[derive(Debug)]
pub struct Metering {
    period: Duration,
    clock: Clock,
    /// Once the run has begun.
    observer: Option<Observer>,
    threads: Vec<PowerThread>,
}

#[derive(Debug)]
struct PowerThread {
    name: &'static str,
    /// The thread ends when this is dropped.
    orders: Option<SyncSender<Order>>,
    meter: Arc<Mutex<Meter>>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
    handle: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Order {
    /// The run begins; whoever counts its frames.
    Begin(Observer),
}

impl Metering {
    /// Without instruments. `period` is the time from reading to reading.
    #[must_use]
    pub fn new(period: Duration, clock: Clock) -> Self {
        Self { period, clock, observer: None, threads: Vec::new() }
    }

    /// Begins to read an instrument, whose first readings are the idle baseline if the run has not begun.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn add(&mut self, instrument: Box<dyn Instrument>) -> io::Result<()> {
        let info = instrument.info();
        let name = match info.source {
            PowerSource::Hwmon => "power-hwmon",
            PowerSource::Pmic => "power-pmic",
            PowerSource::Rapl => "power-rapl",
            PowerSource::Simulated => "power-model",
        };
        let gap_after = self.period * GAP_PERIODS;
        let instrument_name = info.name.clone();
        let mut meter = Meter::new(info, gap_after);
        if self.observer.is_some() {
            meter.begin();
        }
        let meter = Arc::new(Mutex::new(meter));
        let (orders, inbox) = mpsc::sync_channel(1);
        let (ending, ended) = mpsc::sync_channel(1);
        let reader = Reader {
            name: instrument_name,
            instrument,
            period: self.period,
            clock: self.clock.clone(),
            meter: Arc::clone(&meter),
            observer: self.observer.clone(),
            failures_in_a_row: 0,
            told: Vec::new(),
            _ending: ending,
        };
        let body = move || reader.run(&inbox);
        let handle = Some(thread::Builder::new().name(name.to_owned()).spawn(body)?);
        self.threads.push(PowerThread { name, orders: Some(orders), meter, ended, handle });
        Ok(())
    }

    /// The run begins; `observer` counts its frames.
    pub fn begin(&mut self, observer: Observer) {
        for orders in self.threads.iter().filter_map(|thread| thread.orders.as_ref()) {
            // A thread that has ended has panicked; the end tells.
            drop(orders.send(Order::Begin(observer.clone())));
        }
        self.observer = Some(observer);
    }

    /// Whether there is no instrument.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// A handle on the instruments that were added so far.
    #[must_use]
    pub fn meters(&self) -> Meters {
        let meters = self.threads.iter().map(|thread| Arc::clone(&thread.meter)).collect();
        Meters { meters, clock: self.clock.clone() }
    }
}

impl Drop for Metering {
    fn drop(&mut self) {
        for thread in &mut self.threads {
            thread.orders = None;
        }
        for thread in &mut self.threads {
            let Some(handle) = thread.handle.take() else { continue };
            if thread.ended.recv_timeout(LAST_READING) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!("{} hangs in a reading; it is left behind", thread.name);
            } else if handle.join().is_err() {
                tracing::error!("the {} thread has panicked; this is a bug", thread.name);
            }
        }
    }
}

/// Says what instruments have said, also after the end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Meters {
    meters: Vec<Arc<Mutex<Meter>>>,
    clock: Clock,
}

impl Meters {
    /// What each has said so far.
    #[must_use]
    pub fn metered(&self) -> Vec<Metered> {
        let now = self.clock.now();
        self.meters.iter().map(|meter| lock(meter).metered(now)).collect()
    }
}

/// What a power thread owns.
struct Reader {
    name: String,
    instrument: Box<dyn Instrument>,
    period: Duration,
    clock: Clock,
    meter: Arc<Mutex<Meter>>,
    observer: Option<Observer>,
    failures_in_a_row: u32,
    /// Reasons that were told.
    told: Vec<&'static str>,
    /// Dropped with the thread's end, also by a panic.
    _ending: SyncSender<()>,
}

impl Reader {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut due = self.clock.now();
        loop {
            self.read();
            // From due to due, so that the period is kept; what was missed is not made up for.
            due = due.plus(self.pause()).max(self.clock.now());
            match orders.recv_timeout(due.since(self.clock.now())) {
                Ok(Order::Begin(observer)) => {
                    self.observer = Some(observer);
                    lock(&self.meter).begin();
                    due = self.clock.now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.read();
    }

    fn read(&mut self) {
        let began = self.clock.now();
        let frames = self.observer.as_ref().map_or(0, |observer| observer.progress().buffers);
        let said = self.instrument.read(began);
        let took = self.clock.now().since(began);
        if took > self.period * GAP_PERIODS {
            lock(&self.meter).fail(SLOW);
            self.tell(SLOW, &format!("{} took {took:?} for a reading", self.name));
        }
        match said {
            Ok(sample) => {
                if let Some(sample) = sample {
                    lock(&self.meter).push(sample, frames);
                }
                self.failures_in_a_row = 0;
            }
            Err(error) => {
                let mut meter = lock(&self.meter);
                meter.fail(error.reason());
                if matches!(error, ReadError::Restarted { .. }) {
                    meter.interrupt();
                }
                drop(meter);
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.tell(error.reason(), &error.to_string());
            }
        }
    }

    /// The first of each reason; all are counted.
    fn tell(&mut self, reason: &'static str, what: &str) {
        if !self.told.contains(&reason) {
            self.told.push(reason);
            tracing::warn!("{what}; reading goes on, further ones are only counted");
        }
    }

    fn pause(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures_in_a_row).unwrap_or(u32::MAX);
        self.period.saturating_mul(doubled).min(LONGEST_PAUSE.max(self.period))
    }
}

/// A panic elsewhere must not keep anyone from seeing what was metered.
fn lock(meter: &Mutex<Meter>) -> MutexGuard<'_, Meter> {
    meter.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two readings may be missed or late; more is a gap.
const GAP_PERIODS: u32 = 3;
/// Between two attempts on an instrument that is gone.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the end of a run waits for a last reading. Longer than vcgencmd may take.
const LAST_READING: Duration = Duration::from_secs(1);
const SLOW: &str = "slow";
