//! Atomic commits: everything that a flip changes, in one call that the kernel takes or refuses as a whole.

use std::io;
use std::time::Duration;

use drm::control::atomic::AtomicModeReq;
use drm::control::{
    AtomicCommitFlags, Device, Event, PlaneType, RawResourceHandle, crtc, framebuffer, plane,
    property,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::card::{Card, Head, Properties};
use super::error::DisplayError;
use super::planes::{PlaneFacts, PlaneKind};
use crate::outputs::canvas::Area;
use crate::pipeline::geometry::Size;

/// A plane with the properties that a commit sets.
#[derive(Debug)]
pub(super) struct Plane {
    pub(super) handle: plane::Handle,
    pub(super) facts: PlaneFacts,
    /// Whether it shows something on this screen now, put there by whoever was here before.
    lit: bool,
    framebuffer: property::Handle,
    crtc: property::Handle,
    /// Left, top, width, height: of the buffer in 1/65536 pixels, then on the screen.
    source: [property::Handle; 4],
    target: [property::Handle; 4],
    zpos: Option<property::Handle>,
    /// Whatever the program before us has left there, set to what we mean.
    fixed: Vec<(property::Handle, property::RawValue)>,
    /// What they were before.
    found: Vec<(property::Handle, property::RawValue)>,
}

/// What a plane shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shows {
    pub(super) framebuffer: framebuffer::Handle,
    /// Of the buffer.
    pub(super) size: Size,
    /// On the screen.
    pub(super) area: Area,
    /// 0 is the farthest.
    pub(super) depth: u64,
}

/// A screen's planes and the properties of its mode.
#[derive(Debug)]
pub(super) struct Screenful {
    card: Card,
    pub(super) planes: Vec<Plane>,
    crtc: crtc::Handle,
    mode: Vec<(u32, property::Handle, property::RawValue)>,
    mode_blob: u64,
}

/// When and as which number a picture came onto the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flip {
    /// By the kernel's monotonic clock.
    pub(super) at: Duration,
    /// Of the screen's pictures.
    pub(super) sequence: u32,
}

impl Screenful {
    pub(super) fn of(card: &Card, head: &Head) -> Result<Self, DisplayError> {
        let failed = |error: io::Error| card.failed("read its planes", &error);
        let resources = card.resource_handles().map_err(failed)?;
        let mut planes = Vec::new();
        for handle in card.plane_handles().map_err(failed)? {
            let info = card.get_plane(handle).map_err(failed)?;
            if resources.filter_crtcs(info.possible_crtcs()).contains(&head.crtc) {
                let properties = card.properties(handle)?;
                planes.extend(Plane::of(&info, &properties, head.crtc));
            }
        }
        let blob = card.create_property_blob(&head.mode);
        let blob = blob.map_err(|error| card.failed("hand over the mode", &error))?;
        let mode_blob = blob.as_blob().unwrap_or_default();
        let of_crtc = card.properties(head.crtc)?;
        let of_connector = card.properties(head.connector)?;
        let crtc = u32::from(head.crtc);
        let mut mode = Vec::new();
        for (object, properties, name, value) in [
            (crtc, &of_crtc, "MODE_ID", mode_blob),
            (crtc, &of_crtc, "ACTIVE", 1),
            (u32::from(head.connector), &of_connector, "CRTC_ID", u64::from(crtc)),
        ] {
            let (info, _) = properties.find(name).ok_or_else(|| lacking(card, name))?;
            mode.push((object, info.handle(), value));
        }
        Ok(Self { card: card.clone(), planes, crtc: head.crtc, mode, mode_blob })
    }

    pub(super) fn facts(&self) -> Vec<PlaneFacts> {
        self.planes.iter().map(|plane| plane.facts.clone()).collect()
    }

    /// A commit that sets the mode and shows nothing but what is added to it.
    pub(super) fn whole(&self) -> Request {
        let mut request = Request::default();
        for &(object, property, value) in &self.mode {
            request.set(object, property, value);
        }
        for plane in self.planes.iter().filter(|plane| plane.lit) {
            request.hide(plane);
        }
        request
    }

    pub(super) fn show(&self, request: &mut Request, plane: usize, shows: Shows) {
        request.show(&self.planes[plane], self.crtc, shows);
    }

    pub(super) fn hide(&self, request: &mut Request, plane: usize) {
        request.hide(&self.planes[plane]);
    }

    /// Whether the card would take it; changes nothing.
    pub(super) fn test(&self, request: &Request) -> io::Result<()> {
        let flags = AtomicCommitFlags::TEST_ONLY | AtomicCommitFlags::ALLOW_MODESET;
        self.card.atomic_commit(flags, request.atomic())
    }

    /// Sets the mode; waits until it is set.
    pub(super) fn commit_mode(&self, request: &Request) -> Result<(), DisplayError> {
        let flags = AtomicCommitFlags::ALLOW_MODESET | AtomicCommitFlags::PAGE_FLIP_EVENT;
        self.commit(flags, request, "set its mode")
    }

    /// Shows at the next flip; does not wait for it.
    pub(super) fn commit_flip(&self, request: &Request) -> Result<(), DisplayError> {
        let flags = AtomicCommitFlags::NONBLOCK | AtomicCommitFlags::PAGE_FLIP_EVENT;
        self.commit(flags, request, "show a picture")
    }

    /// The kernel takes one commit after the other. One that is not ours (of whoever shares the open card) can be
    /// under way: then it is tried again.
    fn commit(
        &self,
        flags: AtomicCommitFlags,
        request: &Request,
        doing: &'static str,
    ) -> Result<(), DisplayError> {
        for _ in 0..BUSY_TRIES {
            match self.card.atomic_commit(flags, request.atomic()) {
                Ok(()) => return Ok(()),
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::BUSY) => std::thread::sleep(BUSY_PAUSE),
                    Some(Errno::INTR | Errno::AGAIN) => {}
                    Some(Errno::ACCESS | Errno::PERM) => {
                        return Err(DisplayError::held(self.card.path()));
                    }
                    _ => return Err(self.card.failed(doing, &error)),
                },
            }
        }
        Err(self.card.failed(doing, &io::Error::from(Errno::BUSY)))
    }

    /// Waits for the flip of the last commit.
    pub(super) fn flip(&self) -> Result<Flip, DisplayError> {
        let lost = || DisplayError::NoFlip { path: self.card.path().to_owned() };
        loop {
            let mut card = [PollFd::new(&self.card, PollFlags::IN)];
            match poll(&mut card, Some(&FLIP_LIMIT)) {
                Ok(0) => return Err(lost()),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(self.card.failed("wait for a flip", &errno.into())),
            }
            let events = self.card.receive_events();
            for event in events.map_err(|error| self.card.failed("read its events", &error))? {
                if let Event::PageFlip(flip) = event
                    && flip.crtc == self.crtc
                {
                    return Ok(Flip { at: flip.duration, sequence: flip.frame });
                }
            }
        }
    }
}

impl Drop for Screenful {
    fn drop(&mut self) {
        // The kernel keeps what is in use, and forgets the rest with the card.
        let _ = self.card.destroy_property_blob(self.mode_blob);
    }
}

impl Plane {
    /// None of a plane that lacks what atomic commits need.
    fn of(info: &plane::Info, properties: &Properties, crtc: crtc::Handle) -> Option<Self> {
        let handle = |name: &str| Some(properties.find(name)?.0.handle());
        let rectangle = |names: [&str; 4]| {
            let [left, top, width, height] = names.map(handle);
            Some([left?, top?, width?, height?])
        };
        let kind = match properties.find("type")?.1 {
            value if value == PlaneType::Primary as u64 => PlaneKind::Primary,
            value if value == PlaneType::Overlay as u64 => PlaneKind::Overlay,
            _ => PlaneKind::Cursor,
        };
        let (mut fixed, mut found) = (Vec::new(), Vec::new());
        let mut fix = |name: &str, value: Option<property::RawValue>| {
            if let (Some((info, before)), Some(value)) = (properties.find(name), value)
                && info.mutable()
            {
                fixed.push((info.handle(), value));
                found.push((info.handle(), before));
            }
        };
        fix("alpha", Some(OPAQUE));
        fix("pixel blend mode", named_value(properties, "pixel blend mode", "Pre-multiplied"));
        fix("rotation", Some(UPRIGHT));
        let zpos = properties.find("zpos");
        let movable = zpos.filter(|(info, _)| info.mutable());
        if let Some((info, before)) = movable {
            found.push((info.handle(), before));
        }
        let facts = PlaneFacts {
            kind,
            formats: info.formats().to_vec(),
            // One that can be moved lies wherever we want.
            zpos: if movable.is_some() { None } else { zpos.map(|(_, value)| value) },
        };
        Some(Self {
            handle: info.handle(),
            facts,
            lit: info.crtc() == Some(crtc),
            framebuffer: handle("FB_ID")?,
            crtc: handle("CRTC_ID")?,
            source: rectangle(["SRC_X", "SRC_Y", "SRC_W", "SRC_H"])?,
            target: rectangle(["CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H"])?,
            zpos: movable.map(|(info, _)| info.handle()),
            fixed,
            found,
        })
    }
}

/// The value that an enum property calls so.
fn named_value(properties: &Properties, name: &str, wanted: &str) -> Option<property::RawValue> {
    let property::ValueType::Enum(values) = properties.find(name)?.0.value_type() else {
        return None;
    };
    let (_, values) = values.values();
    let value = values.iter().find(|value| value.name().to_bytes() == wanted.as_bytes())?;
    Some(value.value())
}

/// What one commit changes: objects, their properties, the new values. Of two values the later holds.
#[derive(Debug, Default)]
pub(super) struct Request(Vec<(RawResourceHandle, property::Handle, property::RawValue)>);

impl Request {
    fn set(&mut self, object: u32, property: property::Handle, value: property::RawValue) {
        if let Some(object) = RawResourceHandle::new(object) {
            self.0.push((object, property, value));
        }
    }
    fn atomic(&self) -> AtomicModeReq {
        let mut request = AtomicModeReq::new();
        for &(object, property, value) in &self.0 {
            request.add_raw_property(object, property, value);
        }
        request
    }
    fn show(&mut self, plane: &Plane, crtc: crtc::Handle, shows: Shows) {
        let object = u32::from(plane.handle);
        self.set(object, plane.framebuffer, u32::from(shows.framebuffer).into());
        self.set(object, plane.crtc, u32::from(crtc).into());
        let Area { left, top, width, height } = shows.area;
        let source = [0, 0, shows.size.width() << 16, shows.size.height() << 16];
        let target = [left, top, width, height];
        let places = plane.source.iter().zip(source).chain(plane.target.iter().zip(target));
        for (&property, value) in places {
            self.set(object, property, value as property::RawValue);
        }
        for &(property, value) in &plane.fixed {
            self.set(object, property, value);
        }
        if let Some(zpos) = plane.zpos {
            self.set(object, zpos, shows.depth);
        }
    }
    fn hide(&mut self, plane: &Plane) {
        let object = u32::from(plane.handle);
        self.set(object, plane.framebuffer, 0);
        self.set(object, plane.crtc, 0);
    }
}

/// What was on the screen before us, so that it can be there again afterwards.
#[derive(Debug)]
pub(super) struct Before {
    head: Head,
    crtc: crtc::Info,
}

impl Before {
    pub(super) fn of(card: &Card, head: &Head) -> Result<Self, DisplayError> {
        let crtc = card.get_crtc(head.crtc);
        let crtc = crtc.map_err(|error| card.failed("read what it shows", &error))?;
        Ok(Self { head: head.clone(), crtc })
    }

    /// Planes first, which the old way of setting a mode leaves alone.
    pub(super) fn restore(&self, card: &Card, screenful: &Screenful) {
        let mut request = Request::default();
        for plane in &screenful.planes {
            if plane.facts.kind != PlaneKind::Primary {
                request.hide(plane);
            }
            for &(property, value) in &plane.found {
                request.set(u32::from(plane.handle), property, value);
            }
        }
        let planes = card.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request.atomic());
        let crtc = self.head.crtc;
        let mode = match (self.crtc.mode(), self.crtc.framebuffer()) {
            (Some(mode), Some(framebuffer)) => {
                let connectors = [self.head.connector];
                let at = self.crtc.position();
                card.set_crtc(crtc, Some(framebuffer), at, &connectors, Some(mode))
            }
            // It was dark.
            _ => card.set_crtc(crtc, None, (0, 0), &[], None),
        };
        if let Err(error) = planes.and(mode) {
            tracing::warn!("cannot put back what {} has shown before: {error}", self.head.name);
        }
    }
}

fn lacking(card: &Card, name: &str) -> DisplayError {
    DisplayError::Unsuitable {
        path: card.path().to_owned(),
        cause: format!("it has no property {name}"),
    }
}

/// Of a plane's "alpha": 16 bits.
const OPAQUE: property::RawValue = 0xffff;
/// DRM_MODE_ROTATE_0.
const UPRIGHT: property::RawValue = 1;
/// A flip comes with the next picture of the screen, a mode within a fraction of a second.
const FLIP_LIMIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
const BUSY_PAUSE: Duration = Duration::from_millis(2);
/// A second of them.
const BUSY_TRIES: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn handle<T: From<RawResourceHandle>>(number: u32) -> T {
        RawResourceHandle::new(number).unwrap().into()
    }

    /// The properties are numbered as they are set: 1 FB_ID, 2 CRTC_ID, 11.. SRC, 21.. CRTC, 31 zpos, 41 alpha.
    fn plane() -> Plane {
        Plane {
            handle: handle(90),
            facts: PlaneFacts { kind: PlaneKind::Overlay, formats: Vec::new(), zpos: None },
            lit: false,
            framebuffer: handle(1),
            crtc: handle(2),
            source: [11, 12, 13, 14].map(handle),
            target: [21, 22, 23, 24].map(handle),
            zpos: Some(handle(31)),
            fixed: vec![(handle(41), OPAQUE)],
            found: Vec::new(),
        }
    }

    /// No card of the tests scales, so what a card that does is asked for is looked at here: the whole buffer, in
    /// 1/65536 pixels, and its place on the screen, in pixels.
    #[test]
    fn scaling_card_is_asked_for_the_whole_buffer_in_the_place_of_the_picture() {
        let mut request = Request::default();
        let shows = Shows {
            framebuffer: handle(7),
            size: Size::new(320, 240).unwrap(),
            area: Area { left: 420, top: 0, width: 1080, height: 810 },
            depth: 2,
        };
        request.show(&plane(), handle(5), shows);
        let set: Vec<(u32, u64)> = request
            .0
            .iter()
            .map(|&(object, property, value)| {
                assert_eq!(object.get(), 90);
                (u32::from(property), value)
            })
            .collect();
        let want = [
            (1, 7),
            (2, 5),
            (11, 0),
            (12, 0),
            (13, 320 << 16),
            (14, 240 << 16),
            (21, 420),
            (22, 0),
            (23, 1080),
            (24, 810),
            (41, 0xffff),
            (31, 2),
        ];
        assert_eq!(set, want);
    }

    #[test]
    fn plane_that_is_shown_after_it_was_hidden_is_shown() {
        let mut request = Request::default();
        request.hide(&plane());
        assert_eq!(request.0.len(), 2);
        let size = Size::new(1, 1).unwrap();
        let area = Area { left: 0, top: 0, width: 1, height: 1 };
        let shows = Shows { framebuffer: handle(7), size, area, depth: 0 };
        request.show(&plane(), handle(5), shows);
        let said = format!("{:?}", request.atomic());
        assert!(said.contains("values: [7, 5, 0, 0, 65536"), "{said}");
    }
}
