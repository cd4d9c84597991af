//! Memory that a plane shows and the CPU draws into ("dumb buffers").

use drm::buffer::{Buffer, DrmFourcc};
use drm::control::dumbbuffer::{DumbBuffer, DumbMapping};
use drm::control::{Device, framebuffer};

use super::card::Card;
use super::compose::Pixels;
use super::error::DisplayError;
use crate::pipeline::geometry::Size;

/// Whether a plane lets through what is under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Opaque,
    Alpha,
}

/// Two buffers of a plane: one is shown while the other is drawn. The kernel switches off a plane whose buffer
/// goes, so they live until something else is shown.
#[derive(Debug)]
pub(super) struct Pair([Memory; 2]);

impl Pair {
    pub(super) fn new(card: &Card, size: Size, kind: Kind) -> Result<Self, DisplayError> {
        Ok(Self([Memory::new(card, size, kind)?, Memory::new(card, size, kind)?]))
    }
    /// Mapped until the result is dropped: mapping for each frame would cost a page fault a page.
    pub(super) fn map(&mut self) -> Result<Swap<'_>, DisplayError> {
        let [front, back] = &mut self.0;
        Ok(Swap { front: front.map()?, back: back.map()? })
    }
    pub(super) fn any(&self) -> framebuffer::Handle {
        self.0[0].framebuffer
    }
}

/// The two buffers, mapped.
pub(super) struct Swap<'m> {
    pub(super) front: Surface<'m>,
    pub(super) back: Surface<'m>,
}

impl Swap<'_> {
    /// What was drawn is shown now.
    pub(super) fn swap(&mut self) {
        std::mem::swap(&mut self.front, &mut self.back);
    }
}

/// A mapped buffer.
pub(super) struct Surface<'m> {
    mapping: DumbMapping<'m>,
    pitch_bytes: usize,
    pub(super) framebuffer: framebuffer::Handle,
    /// Which canvas is drawn in it; none at first.
    pub(super) canvas: Option<Canvas>,
}

/// A canvas that was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canvas {
    pub(super) number: u64,
    /// Without a sign: from one such to the next only words change.
    pub(super) live: bool,
}

impl Surface<'_> {
    pub(super) fn pixels(&mut self) -> Pixels<'_> {
        Pixels { bytes: &mut self.mapping, pitch_bytes: self.pitch_bytes }
    }
}

#[derive(Debug)]
struct Memory {
    card: Card,
    buffer: DumbBuffer,
    framebuffer: framebuffer::Handle,
}

impl Memory {
    fn new(card: &Card, size: Size, kind: Kind) -> Result<Self, DisplayError> {
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let (format, depth) = match kind {
            Kind::Opaque => (DrmFourcc::Xrgb8888, 24),
            Kind::Alpha => (DrmFourcc::Argb8888, 32),
        };
        let buffer = card
            .create_dumb_buffer((side(size.width()), side(size.height())), format, 32)
            .map_err(|error| card.failed("get memory to draw into", &error))?;
        match card.add_framebuffer(&buffer, depth, 32) {
            Ok(framebuffer) => Ok(Self { card: card.clone(), buffer, framebuffer }),
            Err(error) => {
                // The first refusal is the one to tell; this memory goes with the card at the latest.
                let _ = card.destroy_dumb_buffer(buffer);
                Err(card.failed("make a frame buffer", &error))
            }
        }
    }

    fn map(&mut self) -> Result<Surface<'_>, DisplayError> {
        let pitch_bytes = usize::try_from(self.buffer.pitch()).unwrap_or(usize::MAX);
        let framebuffer = self.framebuffer;
        let mapping = self.card.map_dumb_buffer(&mut self.buffer);
        let mapping = mapping.map_err(|error| self.card.failed("map its memory", &error))?;
        Ok(Surface { mapping, pitch_bytes, framebuffer, canvas: None })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A card that has gone has nothing left to give back.
        let _ = self.card.destroy_framebuffer(self.framebuffer);
        let _ = self.card.destroy_dumb_buffer(self.buffer);
    }
}
