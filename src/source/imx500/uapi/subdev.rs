//! `linux/v4l2-subdev.h` and `linux/v4l2-mediabus.h`: pads of sub-devices and their formats.

use rustix::ioctl::Opcode;
use rustix::ioctl::opcode::read_write;

use super::{kernel_numbers, kernel_structs};

kernel_structs! {
    /// What flows over a pad.
    #[repr(C)]
    struct MbusFormat = "v4l2_mbus_framefmt", 48 {
        width: u32 = "width", 0;
        height: u32 = "height", 4;
        code: u32 = "code", 8;
        field: u32 = "field", 12;
        colorspace: u32 = "colorspace", 16;
        ycbcr_enc: u16 = "ycbcr_enc", 20;
        quantization: u16 = "quantization", 22;
        xfer_func: u16 = "xfer_func", 24;
        flags: u16 = "flags", 26;
        reserved: [u32; 5], 28;
    }

    /// Format of a pad, read or set.
    #[repr(C)]
    struct SubdevFormat = "v4l2_subdev_format", 88 {
        which: u32 = "which", 0;
        pad: u32 = "pad", 4;
        format: MbusFormat = "format", 8;
        stream: u32, 56;
        reserved: [u32; 7], 60;
    }
}

kernel_numbers! {
    VIDIOC_SUBDEV_G_FMT: Opcode = 0xc058_5604, read_write::<SubdevFormat>(b'V', 4);
    VIDIOC_SUBDEV_S_FMT: Opcode = 0xc058_5605, read_write::<SubdevFormat>(b'V', 5);
}

/// Formats that hold, not those that are tried (`V4L2_SUBDEV_FORMAT_ACTIVE`).
pub(crate) const V4L2_SUBDEV_FORMAT_ACTIVE: u32 = 1;
