//! What is on the glass: vkms writes each picture that it composes back into memory, when asked. The commit that
//! asks goes through the same open card, between those of the screen at work, and changes no plane.

// The kernel gives the fence as a bare number.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use drm::buffer::{Buffer, DrmFourcc};
use drm::control::atomic::AtomicModeReq;
use drm::control::dumbbuffer::DumbBuffer;
use drm::control::{
    AtomicCommitFlags, Device as ControlDevice, ResourceHandle, connector, crtc, framebuffer,
    property,
};
use drm::{ClientCapability, Device};
use qsegment::outputs::hdmi::Card;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub(crate) struct Writeback {
    card: Card,
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
    pub(crate) rgb: Vec<u8>,
}

impl Glass {
    pub(crate) fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.rgb[(y * self.width + x) * 3..][..3].try_into().unwrap()
    }
    /// For people, where QSEGMENT_DISPLAY_PICTURES names a folder.
    pub(crate) fn keep(&self, name: &str) {
        if let Some(folder) = std::env::var_os("QSEGMENT_DISPLAY_PICTURES") {
            let mut file = format!("P6\n{} {}\n255\n", self.width, self.height).into_bytes();
            file.extend_from_slice(&self.rgb);
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.ppm")), file)
                .unwrap();
        }
    }
}

impl Writeback {
    /// Of a card whose screen is at work, in this mode.
    pub(crate) fn new(card: &Card, (width, height): (u32, u32)) -> Self {
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
        let find = |name| property_of(card, connector, name);
        Self {
            connector,
            crtc: resources.crtcs()[0],
            buffer,
            framebuffer,
            of_crtc: find("CRTC_ID"),
            of_framebuffer: find("WRITEBACK_FB_ID"),
            of_fence: find("WRITEBACK_OUT_FENCE_PTR"),
            card: card.clone(),
        }
    }

    /// The next picture that is composed.
    pub(crate) fn capture(&mut self) -> Glass {
        let fence = AtomicI32::new(-1);
        let mut request = AtomicModeReq::new();
        for (property, value) in [
            (self.of_crtc, u64::from(u32::from(self.crtc))),
            (self.of_framebuffer, u64::from(u32::from(self.framebuffer))),
            (self.of_fence, fence.as_ptr().expose_provenance() as u64),
        ] {
            request.add_raw_property(self.connector.into(), property, value);
        }
        self.card.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request).unwrap();
        let number = fence.load(Ordering::SeqCst);
        assert!(number >= 0, "no fence");
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
        let fence = unsafe { OwnedFd::from_raw_fd(number) };
        let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&fence, PollFlags::IN)], Some(&limit)).unwrap();
        assert_eq!(ready, 1, "nothing was written back");
        let (width, height) = self.buffer.size();
        let (width, height) = (width as usize, height as usize);
        let pitch = self.buffer.pitch() as usize;
        let mapping = self.card.map_dumb_buffer(&mut self.buffer).unwrap();
        let mut rgb = Vec::with_capacity(width * height * 3);
        for row in mapping.chunks(pitch).take(height) {
            rgb.extend(row.chunks(4).take(width).flat_map(|p| [p[2], p[1], p[0]]));
        }
        Glass { width, height, rgb }
    }
}

impl Drop for Writeback {
    fn drop(&mut self) {
        let _ = self.card.destroy_framebuffer(self.framebuffer);
        let _ = self.card.destroy_dumb_buffer(self.buffer);
    }
}

fn property_of(card: &Card, of: impl ResourceHandle, name: &str) -> property::Handle {
    let properties = card.get_properties(of).unwrap().as_hashmap(card).unwrap();
    properties.get(name).unwrap_or_else(|| panic!("no property {name}")).handle()
}
