//! Who is connected, and who was turned away and why.
//!
//! ```text
//!   64 connections   56 for other machines, 16 of them for one; what is left is for this machine alone:
//!                    whoever sits at it, or comes through a tunnel or proxy on it, always gets in
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::NOT_POISONED;
use super::refusal::Refusal;

/// Shared by the connections and by whoever reports.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    /// One entry a connected party: bounded by the connections, however many parties knock.
    connected: Mutex<Vec<(Party, usize)>>,
    refused: [AtomicU64; Refusal::ALL.len()],
}

/// A connection that was let in. Dropping it makes room.
#[derive(Debug)]
pub(super) struct Visit {
    visitors: Arc<Visitors>,
    party: Party,
}

impl Visitors {
    /// Lets a connection in, or says why not; that is counted then.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Visit, Refusal> {
        let party = Party::of(peer);
        let admitted = self.count_in(party);
        match admitted {
            Ok(()) => Ok(Visit { visitors: Arc::clone(self), party }),
            Err(refusal) => {
                self.refuse(refusal);
                Err(refusal)
            }
        }
    }

    fn count_in(&self, party: Party) -> Result<(), Refusal> {
        let mut connected = self.connected.lock().expect(NOT_POISONED);
        let total: usize = connected.iter().map(|(_, count)| count).sum();
        let here = connected.iter().find(|(of, _)| *of == Party::Here).map_or(0, |(_, n)| *n);
        let full = match party {
            Party::Here => total >= MAX_CONNECTIONS,
            _ => total - here >= MAX_AWAY || total >= MAX_CONNECTIONS,
        };
        if full {
            return Err(Refusal::Connections);
        }
        match connected.iter_mut().find(|(of, _)| *of == party) {
            Some((_, count)) if party != Party::Here && *count >= MAX_A_PARTY => {
                return Err(Refusal::Share);
            }
            Some((_, count)) => *count += 1,
            None => connected.push((party, 1)),
        }
        Ok(())
    }

    /// One more that was turned away for this reason; returns how many that are now.
    pub(super) fn refuse(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize].fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Every reason is there, also those that never were: a rate over them can be drawn from the start.
    pub(super) fn figures(&self) -> VisitorFigures {
        let connected = self.connected.lock().expect(NOT_POISONED);
        let refused = |refusal: Refusal| {
            (refusal.name(), self.refused[refusal as usize].load(Ordering::Relaxed))
        };
        VisitorFigures {
            connections: connected.iter().map(|(_, count)| *count).sum(),
            refused: Refusal::ALL.map(refused).into(),
        }
    }
}

impl Visit {
    /// The connection was ended for this reason.
    pub(super) fn refuse(&self, refusal: Refusal) {
        self.visitors.refuse(refusal);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut connected = self.visitors.connected.lock().expect(NOT_POISONED);
        if let Some((_, count)) = connected.iter_mut().find(|(of, _)| *of == self.party) {
            *count -= 1;
        }
        connected.retain(|(_, count)| *count > 0);
    }
}

/// Connections now, and refusals since the start.
#[derive(Debug, Clone, Serialize)]
pub struct VisitorFigures {
    /// Connections now.
    pub connections: usize,
    /// Connections and requests that were turned away, by reason; every reason is listed.
    pub refused: BTreeMap<&'static str, u64>,
}

/// Who counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    /// This machine; through a tunnel or a proxy many people look like it.
    Here,
    V4([u8; 4]),
    /// A network of 64 bits: that many addresses belong to whoever has one.
    V6([u16; 4]),
}

impl Party {
    fn of(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            peer if peer.is_loopback() => Self::Here,
            IpAddr::V4(peer) => Self::V4(peer.octets()),
            IpAddr::V6(peer) => {
                let [a, b, c, d, ..] = peer.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// A page needs about eight; this is for several pages, scrapers and scripts.
const MAX_CONNECTIONS: usize = 64;
/// Of which other machines can have so many. Eight remain: a page at the machine itself.
const MAX_AWAY: usize = 56;
/// Of which one can have so many: two browsers at six each, and a scraper.
const MAX_A_PARTY: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(visitors: &Arc<Visitors>, peer: &str) -> Result<Visit, Refusal> {
        visitors.admit(peer.parse().unwrap())
    }

    #[test]
    fn one_party_cannot_have_it_all() {
        let visitors = Arc::new(Visitors::default());
        let mut held: Vec<_> = (0..16).map(|_| admit(&visitors, "192.168.1.7").unwrap()).collect();
        // The same machine seen through a socket for both families.
        for same in ["192.168.1.7", "::ffff:192.168.1.7"] {
            assert_eq!(admit(&visitors, same).unwrap_err(), Refusal::Share);
        }
        admit(&visitors, "192.168.1.8").unwrap();
        held.pop();
        held.push(admit(&visitors, "192.168.1.7").unwrap());
        for last in 0..16 {
            held.push(admit(&visitors, &format!("2001:db8::{last:x}")).unwrap());
        }
        assert_eq!(admit(&visitors, "2001:db8::ffff").unwrap_err(), Refusal::Share);
        held.push(admit(&visitors, "2001:db8:0:1::1").unwrap());
        assert_eq!(visitors.figures().connections, held.len());
        assert_eq!(visitors.figures().refused["share"], 3);
        drop(held);
        assert_eq!(visitors.figures().connections, 0);
        assert!(visitors.connected.lock().unwrap().is_empty(), "nobody is remembered");
    }

    #[test]
    fn whoever_sits_at_the_machine_gets_in_however_many_others_came() {
        let visitors = Arc::new(Visitors::default());
        let mut held: Vec<_> =
            (0..56).map(|n| admit(&visitors, &format!("10.0.0.{n}")).unwrap()).collect();
        assert_eq!(admit(&visitors, "10.0.1.1").unwrap_err(), Refusal::Connections);
        held.extend((0..8).map(|_| admit(&visitors, "127.0.0.1").unwrap()));
        assert_eq!(admit(&visitors, "::1").unwrap_err(), Refusal::Connections);
        held.truncate(40);
        held.extend((0..24).map(|_| admit(&visitors, "127.0.0.1").unwrap()));
        assert_eq!(admit(&visitors, "10.0.1.1").unwrap_err(), Refusal::Connections);
        assert_eq!(visitors.figures().refused["connections"], 3);
    }
}
