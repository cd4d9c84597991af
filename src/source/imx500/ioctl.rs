//! One function per ioctl: inputs as arguments, outputs as values. Beside `mapping.rs` the only file of
//! this source with unsafe code.
//!
//! What each ioctl reads and writes stands in the kernel's `userspace-api/media` documentation; the
//! structs are asserted to be the kernel's in `uapi`. A call that a signal interrupts is repeated:
//! nobody here waits inside one for longer than the device takes.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use rustix::io::{Errno, Result, retry_on_intr};
use rustix::ioctl::{Opcode, Setter, Updater, ioctl};

use super::uapi::Zero;
use super::uapi::media::{self, DeviceInfo, Entity, Interface, Link, LinkDesc, Pad, Topology};
use super::uapi::subdev::{self, SubdevFormat};
use super::uapi::video::{self, Buffer, Capability, Control, ExtControl, ExtControls};
use super::uapi::video::{MetaFormat, PictureFormat, QueryExtCtrl, RequestBuffers};

/// `VIDIOC_QUERYCAP`: what a node is.
pub(super) fn query_capability(node: BorrowedFd<'_>) -> Result<Capability> {
    let mut capability = Capability::ZERO;
    // SAFETY: VIDIOC_QUERYCAP fills a `v4l2_capability`.
    unsafe { update::<{ video::VIDIOC_QUERYCAP }, _>(node, &mut capability)? };
    Ok(capability)
}

/// `VIDIOC_S_FMT` of a metadata queue; gives what the driver made of it.
pub(super) fn set_meta_format(node: BorrowedFd<'_>, mut format: MetaFormat) -> Result<MetaFormat> {
    // SAFETY: VIDIOC_S_FMT reads and writes a `v4l2_format`, whose union is `meta` by its `type`.
    unsafe { update::<{ video::VIDIOC_S_FMT }, _>(node, &mut format)? };
    Ok(format)
}

/// `VIDIOC_G_FMT` of a metadata queue.
pub(super) fn meta_format(node: BorrowedFd<'_>, queue: u32) -> Result<MetaFormat> {
    let mut format = MetaFormat { queue, ..MetaFormat::ZERO };
    // SAFETY: VIDIOC_G_FMT reads the `type` of a `v4l2_format` and fills the rest.
    unsafe { update::<{ video::VIDIOC_G_FMT }, _>(node, &mut format)? };
    Ok(format)
}

/// `VIDIOC_S_FMT` of a picture queue; gives what the driver made of it.
pub(super) fn set_picture_format(
    node: BorrowedFd<'_>,
    mut format: PictureFormat,
) -> Result<PictureFormat> {
    // SAFETY: VIDIOC_S_FMT reads and writes a `v4l2_format`, whose union is `pix` by its `type`.
    unsafe { update::<{ video::VIDIOC_S_FMT }, _>(node, &mut format)? };
    Ok(format)
}

/// `VIDIOC_REQBUFS`: makes a queue's buffers, or frees them where `count` is 0. Gives what was made.
pub(super) fn request_buffers(
    node: BorrowedFd<'_>,
    mut request: RequestBuffers,
) -> Result<RequestBuffers> {
    // SAFETY: VIDIOC_REQBUFS reads and writes a `v4l2_requestbuffers`. Buffers that are still mapped keep
    // their memory until they are unmapped.
    unsafe { update::<{ video::VIDIOC_REQBUFS }, _>(node, &mut request)? };
    Ok(request)
}

/// `VIDIOC_QUERYBUF`: length of a buffer, and where to map it.
pub(super) fn query_buffer(node: BorrowedFd<'_>, queue: u32, index: u32) -> Result<Buffer> {
    let mut buffer = Buffer { index, queue, memory: video::V4L2_MEMORY_MMAP, ..Buffer::ZERO };
    // SAFETY: VIDIOC_QUERYBUF reads `index` and `type` of a `v4l2_buffer` and fills the rest. It has no
    // planes to follow, since `type` is a single-planar one.
    unsafe { update::<{ video::VIDIOC_QUERYBUF }, _>(node, &mut buffer)? };
    Ok(buffer)
}

/// `VIDIOC_QBUF`: gives a buffer to the driver, to be filled.
pub(super) fn queue_buffer(node: BorrowedFd<'_>, queue: u32, index: u32) -> Result<()> {
    let mut buffer = Buffer { index, queue, memory: video::V4L2_MEMORY_MMAP, ..Buffer::ZERO };
    // SAFETY: VIDIOC_QBUF reads and writes a `v4l2_buffer`. The memory that the driver fills is its own.
    unsafe { update::<{ video::VIDIOC_QBUF }, _>(node, &mut buffer) }
}

/// `VIDIOC_QBUF` of an output queue: gives the driver a buffer with this many bytes, to be sent.
pub(super) fn queue_filled(
    node: BorrowedFd<'_>,
    queue: u32,
    index: u32,
    bytesused: u32,
) -> Result<()> {
    let memory = video::V4L2_MEMORY_MMAP;
    let mut buffer = Buffer { index, queue, memory, bytesused, ..Buffer::ZERO };
    // SAFETY: VIDIOC_QBUF reads and writes a `v4l2_buffer`. The memory that the driver sends is its own.
    unsafe { update::<{ video::VIDIOC_QBUF }, _>(node, &mut buffer) }
}

/// What `VIDIOC_DQBUF` found.
#[derive(Debug)]
pub(super) enum Dequeued {
    /// A filled buffer.
    Buffer(Buffer),
    /// No buffer is filled yet.
    NotReady,
    /// The driver has said that no more will come.
    Ended,
}

/// `VIDIOC_DQBUF` on a node that was opened non-blocking.
pub(super) fn dequeue_buffer(node: BorrowedFd<'_>, queue: u32) -> Result<Dequeued> {
    let mut buffer = Buffer { queue, memory: video::V4L2_MEMORY_MMAP, ..Buffer::ZERO };
    // SAFETY: VIDIOC_DQBUF reads `type` and `memory` of a `v4l2_buffer` and fills the rest.
    match unsafe { update::<{ video::VIDIOC_DQBUF }, _>(node, &mut buffer) } {
        Ok(()) => Ok(Dequeued::Buffer(buffer)),
        Err(Errno::AGAIN) => Ok(Dequeued::NotReady),
        Err(Errno::PIPE) => Ok(Dequeued::Ended),
        Err(errno) => Err(errno),
    }
}

/// `VIDIOC_STREAMON`. The last one of a camera uploads the network before it returns.
pub(super) fn stream_on(node: BorrowedFd<'_>, queue: u32) -> Result<()> {
    // SAFETY: VIDIOC_STREAMON reads an int.
    unsafe { set::<{ video::VIDIOC_STREAMON }, _>(node, queue) }
}

/// `VIDIOC_STREAMOFF`: stops, and takes every buffer back from the driver.
pub(super) fn stream_off(node: BorrowedFd<'_>, queue: u32) -> Result<()> {
    // SAFETY: VIDIOC_STREAMOFF reads an int.
    unsafe { set::<{ video::VIDIOC_STREAMOFF }, _>(node, queue) }
}

/// `VIDIOC_G_CTRL`: a control of at most 32 bits.
pub(super) fn control(node: BorrowedFd<'_>, id: u32) -> Result<i32> {
    let mut control = Control { id, value: 0 };
    // SAFETY: VIDIOC_G_CTRL reads and writes a `v4l2_control`.
    unsafe { update::<{ video::VIDIOC_G_CTRL }, _>(node, &mut control)? };
    Ok(control.value)
}

/// `VIDIOC_S_CTRL`: gives the value that the driver made of it.
pub(super) fn set_control(node: BorrowedFd<'_>, id: u32, value: i32) -> Result<i32> {
    let mut control = Control { id, value };
    // SAFETY: VIDIOC_S_CTRL reads and writes a `v4l2_control`.
    unsafe { update::<{ video::VIDIOC_S_CTRL }, _>(node, &mut control)? };
    Ok(control.value)
}

/// `VIDIOC_G_EXT_CTRLS` of one control of 64 bits.
pub(super) fn wide_control(node: BorrowedFd<'_>, id: u32) -> Result<i64> {
    let mut control = ExtControl { id, ..ExtControl::ZERO };
    ext_control::<{ video::VIDIOC_G_EXT_CTRLS }>(node, &mut control)?;
    Ok(i64::from_ne_bytes(control.value))
}

/// `VIDIOC_G_EXT_CTRLS` of one control that is four numbers.
pub(super) fn control_of_four(node: BorrowedFd<'_>, id: u32) -> Result<[u32; 4]> {
    let mut values = [0_u32; 4];
    let mut control = pointing_to(&mut values, id);
    ext_control::<{ video::VIDIOC_G_EXT_CTRLS }>(node, &mut control)?;
    Ok(values)
}

/// `VIDIOC_S_EXT_CTRLS` of one control that is four numbers; gives what the driver made of them.
pub(super) fn set_control_of_four(
    node: BorrowedFd<'_>,
    id: u32,
    mut values: [u32; 4],
) -> Result<[u32; 4]> {
    let mut control = pointing_to(&mut values, id);
    ext_control::<{ video::VIDIOC_S_EXT_CTRLS }>(node, &mut control)?;
    Ok(values)
}

fn pointing_to(values: &mut [u32; 4], id: u32) -> ExtControl {
    let address = values.as_mut_ptr().expose_provenance() as u64;
    ExtControl { id, size: FOUR_LEN_BYTES, value: address.to_ne_bytes(), ..ExtControl::ZERO }
}

const FOUR_LEN_BYTES: u32 = 16;

/// `VIDIOC_G_EXT_CTRLS` or `VIDIOC_S_EXT_CTRLS` of one control. What it points to must be alive and as
/// long as its `size` says.
fn ext_control<const OPCODE: Opcode>(node: BorrowedFd<'_>, control: &mut ExtControl) -> Result<()> {
    let address = std::ptr::from_mut(control).expose_provenance() as u64;
    let mut controls = ExtControls { count: 1, controls: address, ..ExtControls::ZERO };
    // SAFETY: both ioctls read and write a `v4l2_ext_controls` and the one `v4l2_ext_control` it points
    // to, which lives on the caller's stack, and through it 16 bytes that live there too.
    unsafe { update::<OPCODE, _>(node, &mut controls) }
}

/// `VIDIOC_QUERY_EXT_CTRL`: range and state of a control; EINVAL where the device has no such control.
pub(super) fn query_control(node: BorrowedFd<'_>, id: u32) -> Result<QueryExtCtrl> {
    let mut query = QueryExtCtrl { id, ..QueryExtCtrl::ZERO };
    // SAFETY: VIDIOC_QUERY_EXT_CTRL reads the id of a `v4l2_query_ext_ctrl` and fills the rest.
    unsafe { update::<{ video::VIDIOC_QUERY_EXT_CTRL }, _>(node, &mut query)? };
    Ok(query)
}

/// `VIDIOC_SUBDEV_G_FMT`: what flows over a pad.
pub(super) fn pad_format(subdev: BorrowedFd<'_>, pad: u32) -> Result<SubdevFormat> {
    let which = subdev::V4L2_SUBDEV_FORMAT_ACTIVE;
    let mut format = SubdevFormat { which, pad, ..SubdevFormat::ZERO };
    // SAFETY: VIDIOC_SUBDEV_G_FMT reads `which` and `pad` of a `v4l2_subdev_format` and fills the rest.
    unsafe { update::<{ subdev::VIDIOC_SUBDEV_G_FMT }, _>(subdev, &mut format)? };
    Ok(format)
}

/// `VIDIOC_SUBDEV_S_FMT`: gives what the driver made of it.
pub(super) fn set_pad_format(
    subdev: BorrowedFd<'_>,
    mut format: SubdevFormat,
) -> Result<SubdevFormat> {
    // SAFETY: VIDIOC_SUBDEV_S_FMT reads and writes a `v4l2_subdev_format`.
    unsafe { update::<{ subdev::VIDIOC_SUBDEV_S_FMT }, _>(subdev, &mut format)? };
    Ok(format)
}

/// `MEDIA_IOC_DEVICE_INFO`: who drives a media device.
pub(super) fn device_info(media: BorrowedFd<'_>) -> Result<DeviceInfo> {
    let mut info = DeviceInfo::ZERO;
    // SAFETY: MEDIA_IOC_DEVICE_INFO fills a `media_device_info`.
    unsafe { update::<{ media::MEDIA_IOC_DEVICE_INFO }, _>(media, &mut info)? };
    Ok(info)
}

/// `MEDIA_IOC_SETUP_LINK`: switches a link on or off by its `flags`.
pub(super) fn setup_link(media: BorrowedFd<'_>, mut link: LinkDesc) -> Result<()> {
    // SAFETY: MEDIA_IOC_SETUP_LINK reads and writes a `media_link_desc`.
    unsafe { update::<{ media::MEDIA_IOC_SETUP_LINK }, _>(media, &mut link) }
}

/// The four tables of a media graph.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) entities: Vec<Entity>,
    pub(super) interfaces: Vec<Interface>,
    pub(super) pads: Vec<Pad>,
    pub(super) links: Vec<Link>,
}

/// `MEDIA_IOC_G_TOPOLOGY`, twice: how long the tables are, then the tables. Should the graph grow in
/// between, again.
pub(super) fn topology(media: BorrowedFd<'_>) -> Result<Tables> {
    loop {
        let mut lengths = Topology::ZERO;
        // SAFETY: with addresses of 0 MEDIA_IOC_G_TOPOLOGY fills the struct alone.
        unsafe { update::<{ media::MEDIA_IOC_G_TOPOLOGY }, _>(media, &mut lengths)? };
        let mut tables = Tables {
            entities: vec![Entity::ZERO; lengths.num_entities as usize],
            interfaces: vec![Interface::ZERO; lengths.num_interfaces as usize],
            pads: vec![Pad::ZERO; lengths.num_pads as usize],
            links: vec![Link::ZERO; lengths.num_links as usize],
        };
        let mut topology = Topology {
            ptr_entities: tables.entities.as_mut_ptr().expose_provenance() as u64,
            ptr_interfaces: tables.interfaces.as_mut_ptr().expose_provenance() as u64,
            ptr_pads: tables.pads.as_mut_ptr().expose_provenance() as u64,
            ptr_links: tables.links.as_mut_ptr().expose_provenance() as u64,
            ..lengths
        };
        // SAFETY: MEDIA_IOC_G_TOPOLOGY writes to each address at most as many elements as the struct
        // says there is room for, which is the length of each vector; more is ENOSPC.
        match unsafe { update::<{ media::MEDIA_IOC_G_TOPOLOGY }, _>(media, &mut topology) } {
            Err(Errno::NOSPC) => {}
            Err(errno) => return Err(errno),
            Ok(()) => {
                // It may have shrunk.
                tables.entities.truncate(topology.num_entities as usize);
                tables.interfaces.truncate(topology.num_interfaces as usize);
                tables.pads.truncate(topology.num_pads as usize);
                tables.links.truncate(topology.num_links as usize);
                return Ok(tables);
            }
        }
    }
}

/// An ioctl that reads a struct and writes it back.
///
/// # Safety
/// `OPCODE` must be an ioctl of drivers of this kind whose argument is a `T`, which the driver may fill
/// with any bytes; what the struct points to must be alive and as long as the struct says.
unsafe fn update<const OPCODE: Opcode, T>(fd: BorrowedFd<'_>, value: &mut T) -> Result<()> {
    retry_on_intr(|| {
        // SAFETY: the caller's promise.
        let call = unsafe { Updater::<OPCODE, T>::new(value) };
        // SAFETY: the caller's promise; the kernel writes nothing but `value` and what it points to.
        unsafe { ioctl(fd, call) }
    })
}

/// An ioctl that reads a value.
///
/// # Safety
/// `OPCODE` must be an ioctl of drivers of this kind that reads a `T` and writes nothing.
unsafe fn set<const OPCODE: Opcode, T: Copy>(fd: BorrowedFd<'_>, value: T) -> Result<()> {
    retry_on_intr(|| {
        // SAFETY: the caller's promise.
        let call = unsafe { Setter::<OPCODE, T>::new(value) };
        // SAFETY: the caller's promise.
        unsafe { ioctl(fd, call) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    /// An errno comes back as it is. (qemu-user knows no video ioctls and says ENOSYS itself.)
    #[test]
    fn what_is_no_device_is_refused_by_errno() {
        let file = File::open("/dev/null").unwrap();
        let null = file.as_fd();
        for refused in [
            query_capability(null).unwrap_err(),
            device_info(null).unwrap_err(),
            topology(null).unwrap_err(),
            stream_on(null, 13).unwrap_err(),
            control_of_four(null, 0x0098_2900).unwrap_err(),
            dequeue_buffer(null, 13).unwrap_err(),
        ] {
            assert!(matches!(refused, Errno::NOTTY | Errno::NOSYS), "{refused}");
        }
    }
}
