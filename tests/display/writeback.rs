//! What is on the glass: vkms writes each picture that it composes back into memory, when asked. The commit that
//! asks goes through the same open card, between those of the screen at work, and changes no plane. The open card
//! may be another process's.

// The kernel gives the fence as a bare number.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use drm::buffer::{Buffer, DrmFourcc};
use drm::control::atomic::AtomicModeReq;
use drm::control::dumbbuffer::DumbBuffer;
use drm::control::{
    AtomicCommitFlags, Device as ControlDevice, ResourceHandle, connector, crtc, framebuffer,
    property,
};
use drm::{ClientCapability, Device};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// An open card, whoever has opened it.
struct Open(OwnedFd);

impl AsFd for Open {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Device for Open {}
impl ControlDevice for Open {}

pub(crate) struct Writeback {
    card: Open,
    connector: connector::Handle,
    crtc: crtc::Handle,
    buffer: DumbBuffer,
    framebuffer: framebuffer::Handle,
    of_crtc: property::Handle,
    of_framebuffer: property::Handle,
    of_fence: property::Handle,
}

/// A picture as it was shown.
pub(crate) struct Glass {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Blue, green, red, nothing; put into order only where it is looked at, on an emulated processor.
    bytes: Vec<u8>,
    pitch_bytes: usize,
}

impl Glass {
    pub(crate) fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let pixel = &self.bytes[y * self.pitch_bytes + x * 4..][..4];
        [pixel[2], pixel[1], pixel[0]]
    }
    /// Whether the upper edge has stripes of the colour.
    pub(crate) fn is_hatched(&self, colour: [u8; 3]) -> bool {
        let striped = (0..self.width).filter(|&x| self.at(x, 1) == colour).count();
        (self.width / 3..self.width * 2 / 3).contains(&striped)
    }
    /// For people, where QSEGMENT_DISPLAY_PICTURES names a folder.
    pub(crate) fn keep(&self, name: &str) {
        if let Some(folder) = std::env::var_os("QSEGMENT_DISPLAY_PICTURES") {
            let mut file = format!("P6\n{} {}\n255\n", self.width, self.height).into_bytes();
            let places = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
            file.extend(places.flat_map(|(x, y)| self.at(x, y)));
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.ppm")), file)
                .unwrap();
        }
    }
}

impl Writeback {
    /// Of a card whose screen is at work, in this mode.
    pub(crate) fn new(card: impl AsFd, (width, height): (u32, u32)) -> Self {
        // A second number of the same open file, and so the same master.
        let card = Open(card.as_fd().try_clone_to_owned().unwrap());
        card.set_client_capability(ClientCapability::WritebackConnectors, true).unwrap();
        let resources = card.resource_handles().unwrap();
        let connector = *resources
            .connectors()
            .iter()
            .find(|&&handle| {
                let info = card.get_connector(handle, true).unwrap();
                info.interface() == connector::Interface::Writeback
            })
            .expect("vkms was loaded with enable_writeback=1");
        let buffer = card.create_dumb_buffer((width, height), DrmFourcc::Xrgb8888, 32).unwrap();
        let framebuffer = card.add_framebuffer(&buffer, 24, 32).unwrap();
        let find = |name| property_of(&card, connector, name);
        let (of_crtc, of_framebuffer, of_fence) =
            (find("CRTC_ID"), find("WRITEBACK_FB_ID"), find("WRITEBACK_OUT_FENCE_PTR"));
        Self {
            connector,
            crtc: resources.crtcs()[0],
            buffer,
            framebuffer,
            of_crtc,
            of_framebuffer,
            of_fence,
            card,
        }
    }

    /// The next picture that is composed.
    pub(crate) fn capture(&mut self) -> Glass {
        self.try_capture().unwrap()
    }

    /// The same; an error where nothing is shown yet.
    pub(crate) fn try_capture(&mut self) -> io::Result<Glass> {
        let fence = AtomicI32::new(-1);
        let mut request = AtomicModeReq::new();
        for (property, value) in [
            (self.of_crtc, u64::from(u32::from(self.crtc))),
            (self.of_framebuffer, u64::from(u32::from(self.framebuffer))),
            (self.of_fence, fence.as_ptr().expose_provenance() as u64),
        ] {
            request.add_raw_property(self.connector.into(), property, value);
        }
        self.card.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request)?;
        let number = fence.load(Ordering::SeqCst);
        assert!(number >= 0, "no fence");
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
        let fence = unsafe { OwnedFd::from_raw_fd(number) };
        let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&fence, PollFlags::IN)], Some(&limit)).unwrap();
        assert_eq!(ready, 1, "nothing was written back");
        let (width, height) = self.buffer.size();
        let (width, height) = (width as usize, height as usize);
        let pitch_bytes = self.buffer.pitch() as usize;
        let bytes = self.card.map_dumb_buffer(&mut self.buffer).unwrap().to_vec();
        Ok(Glass { width, height, bytes, pitch_bytes })
    }
}

impl Drop for Writeback {
    fn drop(&mut self) {
        let _ = self.card.destroy_framebuffer(self.framebuffer);
        let _ = self.card.destroy_dumb_buffer(self.buffer);
    }
}

fn property_of(card: &Open, of: impl ResourceHandle, name: &str) -> property::Handle {
    let properties = card.get_properties(of).unwrap().as_hashmap(card).unwrap();
    properties.get(name).unwrap_or_else(|| panic!("no property {name}")).handle()
}
