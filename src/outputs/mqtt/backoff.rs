//! How long to wait before the next attempt: twice as long each time, up to a minute, and for each camera a little
//! different, so that a broker that comes back is not met by all of them at once.

use std::time::Duration;

use super::topics::CameraName;

#[derive(Debug)]
pub(super) struct Backoff {
    camera: CameraName,
    attempt: u32,
}

impl Backoff {
    pub(super) fn new(camera: CameraName) -> Self {
        Self { camera, attempt: 0 }
    }
    /// The pause before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.attempt.min(6)).min(LONGEST);
        let pause = whole.mul_f64(0.75) + self.camera.share_of(whole / 2, self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        pause
    }
    /// The connection has held.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }
}

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_minute_within_a_quarter_and_starts_over() {
        let mut backoff = Backoff::new("camera-1".parse().unwrap());
        for whole in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let whole = Duration::from_secs(whole);
            let pause = backoff.next();
            assert!(
                pause >= whole.mul_f64(0.75) && pause <= whole.mul_f64(1.25),
                "{pause:?} of {whole:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST.mul_f64(1.25));
    }

    #[test]
    fn cameras_come_back_at_different_moments() {
        let pauses: Vec<_> =
            (0..50).map(|i| Backoff::new(format!("camera-{i}").parse().unwrap()).next()).collect();
        let mut distinct = pauses.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() > 45, "{pauses:?}");
    }
}
