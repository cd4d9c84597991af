//! How many messages may be on their way to a client at once, so that none is old when it arrives.
//!
//! ```text
//!   message 7, ping 7 ──> buffers of both ends, and all that lies between ──> client
//!                     <────────────────────────────── pong 7: that message is there, and all before it
//! ```
//!
//! Any client answers pings (RFC 6455, 5.5.2), a browser without its page's doing. How long the answer takes is the
//! way's own time and the time in queues. Where a way is too narrow the queue grows and nothing is lost, so a picture of
//! seconds ago would be shown as live: then fewer may be under way, down to one. On a wide way that is only long, more.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Of one client.
#[derive(Debug)]
pub(super) struct Lead {
    sent: u64,
    unanswered: VecDeque<Sent>,
    allowed: usize,
    /// How long an answer takes where nothing else of ours is under way.
    alone: Option<Duration>,
}

#[derive(Debug)]
struct Sent {
    number: u64,
    /// When that was begun.
    at: Instant,
    /// Whether all before it had arrived.
    alone: bool,
}

impl Lead {
    pub(super) fn new() -> Self {
        Self { sent: 0, unanswered: VecDeque::new(), allowed: FIRST, alone: None }
    }

    pub(super) fn may_send(&self) -> bool {
        self.unanswered.len() < self.allowed
    }

    /// A message is being sent; what the ping behind it says.
    pub(super) fn send(&mut self, now: Instant) -> [u8; 8] {
        self.sent += 1;
        let alone = self.unanswered.is_empty();
        self.unanswered.push_back(Sent { number: self.sent, at: now, alone });
        self.sent.to_be_bytes()
    }

    /// What a pong said, and whether a message waits for its turn. False where it answers no ping of ours.
    pub(super) fn answered(&mut self, said: &[u8], waits: bool, now: Instant) -> bool {
        let Ok(number) = said.try_into().map(u64::from_be_bytes) else { return false };
        let Some(place) = self.unanswered.iter().position(|sent| sent.number == number) else {
            return false;
        };
        // A client may answer only the newest ping: what came before has arrived, too.
        let Some(sent) = self.unanswered.drain(..=place).next_back() else { return false };
        let trip = now - sent.at;
        let before = self.alone.unwrap_or(trip);
        if sent.alone {
            // A way may become longer for good, and once is not yet that.
            self.alone = Some(trip.min(before + trip.saturating_sub(before) / 4));
        }
        if trip > before + MOST_QUEUED {
            self.allowed = (self.allowed / 2).max(1);
        } else if waits && trip <= before + MOST_QUEUED / 2 {
            // What went alone says nothing of a queue.
            let most = if sent.alone { FIRST } else { MOST };
            self.allowed = (self.allowed + 1).min(most).max(self.allowed);
        }
        true
    }

    /// When the oldest message was sent of which nobody knows whether it has arrived.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.unanswered.front().map(|sent| sent.at)
    }
}

const FIRST: usize = 2;
/// Half a second at 30 a second.
const MOST: usize = 16;
/// Time in queues that is not yet too much; three frames at 30 a second.
const MOST_QUEUED: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames at 30 a second over a way that takes `trip` and carries one message every `each`; the age of each on arrival.
    fn ages(trip: Duration, each: Duration, frames: u32) -> Vec<Duration> {
        let start = Instant::now();
        let (mut lead, mut ages) = (Lead::new(), Vec::new());
        // What is under way: ping, when the frame was made, when the pong comes.
        let mut under_way: VecDeque<([u8; 8], Instant)> = VecDeque::new();
        let (mut free, mut newest) = (start, None);
        for millis in 0..frames * 33 {
            let now = start + Duration::from_millis(millis.into());
            if millis % 33 == 0 {
                newest = Some(now);
            }
            while under_way.front().is_some_and(|(_, at)| *at <= now) {
                let (ping, _) = under_way.pop_front().expect("it was there");
                assert!(lead.answered(&ping, newest.is_some(), now));
            }
            if lead.may_send()
                && let Some(made) = newest.take()
            {
                free = free.max(now) + each;
                let arrives = free + trip / 2;
                ages.push(arrives - made);
                under_way.push_back((lead.send(now), arrives + trip / 2));
            }
        }
        ages
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn wide_ways_carry_every_frame_however_long_they_are() {
        for trip in [1, 30, 200, 400] {
            // It begins with two.
            let begun = ages(ms(trip), ms(1), 100).len();
            let all = ages(ms(trip), ms(1), 300);
            assert!(all.len() - begun >= 195, "{trip} ms: {} of 300, {begun} of 100", all.len());
            let oldest = all.iter().skip(begun).max().expect("some came");
            assert!(*oldest <= ms(trip / 2 + 35), "{trip} ms: {oldest:?}");
        }
    }

    #[test]
    fn on_narrow_ways_pictures_do_not_grow_old() {
        for each in [50, 100, 300, 1000] {
            let ages = ages(ms(20), ms(each), 1200);
            let oldest = ages.iter().skip(10).max().expect("some came");
            // Half the way, the next frame, the queue that is allowed, and two messages.
            assert!(*oldest <= ms(10 + 33 + 100 + 2 * each), "{each} ms each: {oldest:?}");
            let most = 1200 * 33 / each;
            let came = ages.len() as u64;
            assert!(
                came * 10 >= most * 7,
                "{each} ms each: {came} of {most} that would go through"
            );
        }
    }

    #[test]
    fn nobody_answers_what_was_not_asked() {
        let now = Instant::now();
        let mut lead = Lead::new();
        assert_eq!(lead.waits_since(), None);
        let ping = lead.send(now);
        assert!(!lead.answered(b"", true, now) && !lead.answered(&[0; 8], true, now));
        assert_eq!(lead.waits_since(), Some(now));
        assert!(lead.answered(&ping, true, now) && !lead.answered(&ping, true, now), "once");
        assert_eq!(lead.waits_since(), None);
    }

    #[test]
    fn the_newest_answer_answers_all_before_it() {
        let now = Instant::now();
        let mut lead = Lead::new();
        let [_, second] = [lead.send(now), lead.send(now)];
        assert!(!lead.may_send());
        assert!(lead.answered(&second, false, now));
        assert!(lead.may_send() && lead.waits_since().is_none());
    }
}
