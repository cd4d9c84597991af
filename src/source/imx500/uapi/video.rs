//! `linux/videodev2.h`: video and metadata nodes, buffers, controls.

use rustix::ioctl::Opcode;
use rustix::ioctl::opcode::{read, read_write, write};

use super::{kernel_numbers, kernel_structs};

kernel_structs! {
    /// What a node is and can do.
    #[repr(C)]
    struct Capability = "v4l2_capability", 104 {
        driver: [u8; 16] = "driver", 0;
        card: [u8; 32] = "card", 16;
        bus_info: [u8; 32] = "bus_info", 48;
        version: u32 = "version", 80;
        /// Of the whole device.
        capabilities: u32 = "capabilities", 84;
        /// Of this node.
        device_caps: u32 = "device_caps", 88;
        reserved: [u32; 3] = "reserved", 92;
    }

    /// `v4l2_format` of a metadata queue.
    #[repr(C, align(8))]
    struct MetaFormat = "v4l2_format", 208 {
        queue: u32 = "type", 0;
        reserved: u32, 4;
        /// Four letters, such as `SENS`.
        dataformat: u32 = "fmt.meta.dataformat", 8;
        buffersize: u32 = "fmt.meta.buffersize", 12;
        reserved2: [u32; 48], 16;
    }

    /// `v4l2_format` of a picture queue with one plane.
    #[repr(C, align(8))]
    struct PictureFormat = "v4l2_format", 208 {
        queue: u32 = "type", 0;
        reserved: u32, 4;
        width: u32 = "fmt.pix.width", 8;
        height: u32 = "fmt.pix.height", 12;
        /// Four letters, such as `pRAA`.
        pixelformat: u32 = "fmt.pix.pixelformat", 16;
        field: u32 = "fmt.pix.field", 20;
        bytesperline: u32 = "fmt.pix.bytesperline", 24;
        sizeimage: u32 = "fmt.pix.sizeimage", 28;
        colorspace: u32 = "fmt.pix.colorspace", 32;
        private: u32 = "fmt.pix.priv", 36;
        flags: u32 = "fmt.pix.flags", 40;
        reserved2: [u32; 41], 44;
    }

    /// How many buffers a queue has.
    #[repr(C)]
    struct RequestBuffers = "v4l2_requestbuffers", 20 {
        count: u32 = "count", 0;
        queue: u32 = "type", 4;
        memory: u32 = "memory", 8;
        capabilities: u32 = "capabilities", 12;
        flags: u8 = "flags", 16;
        reserved: [u8; 3] = "reserved", 17;
    }

    /// One buffer of a queue.
    #[repr(C)]
    struct Buffer = "v4l2_buffer", 88 {
        index: u32 = "index", 0;
        queue: u32 = "type", 4;
        bytesused: u32 = "bytesused", 8;
        flags: u32 = "flags", 12;
        field: u32 = "field", 16;
        reserved: u32, 20;
        seconds: i64 = "timestamp.tv_sec", 24;
        microseconds: i64 = "timestamp.tv_usec", 32;
        timecode: [u32; 4] = "timecode", 40;
        sequence: u32 = "sequence", 56;
        memory: u32 = "memory", 60;
        /// Where to map it.
        offset: u32 = "m.offset", 64;
        offset_high: u32, 68;
        length: u32 = "length", 72;
        reserved2: u32 = "reserved2", 76;
        request_fd: i32 = "request_fd", 80;
        reserved3: u32, 84;
    }

    /// A control with a value of 32 bits.
    #[repr(C)]
    struct Control = "v4l2_control", 8 {
        id: u32 = "id", 0;
        value: i32 = "value", 4;
    }

    /// One of the controls of [`ExtControls`]. The kernel packs it; its fields lie on 4 bytes anyway.
    #[repr(C)]
    struct ExtControl = "v4l2_ext_control", 20 {
        id: u32 = "id", 0;
        /// Bytes that `value` points to; 0 where it is the value itself.
        size: u32 = "size", 4;
        reserved: u32 = "reserved2", 8;
        /// A value or an address, in the machine's byte order.
        value: [u8; 8] = "value64", 12;
    }

    /// Controls read or set together.
    #[repr(C)]
    struct ExtControls = "v4l2_ext_controls", 32 {
        which: u32 = "which", 0;
        count: u32 = "count", 4;
        error_idx: u32 = "error_idx", 8;
        request_fd: i32 = "request_fd", 12;
        reserved: [u32; 2] = "reserved", 16;
        /// Address of `count` [`ExtControl`]s.
        controls: u64 = "controls", 24;
    }

    /// Range and state of a control.
    #[repr(C)]
    struct QueryExtCtrl = "v4l2_query_ext_ctrl", 232 {
        id: u32 = "id", 0;
        kind: u32 = "type", 4;
        name: [u8; 32] = "name", 8;
        minimum: i64 = "minimum", 40;
        maximum: i64 = "maximum", 48;
        step: u64 = "step", 56;
        default_value: i64 = "default_value", 64;
        flags: u32 = "flags", 72;
        elem_size: u32 = "elem_size", 76;
        elems: u32 = "elems", 80;
        nr_of_dims: u32 = "nr_of_dims", 84;
        dims: [u32; 4] = "dims", 88;
        reserved: [u32; 32] = "reserved", 104;
    }
}

kernel_numbers! {
    VIDIOC_QUERYCAP: Opcode = 0x8068_5600, read::<Capability>(b'V', 0);
    VIDIOC_G_FMT: Opcode = 0xc0d0_5604, read_write::<MetaFormat>(b'V', 4);
    VIDIOC_S_FMT: Opcode = 0xc0d0_5605, read_write::<PictureFormat>(b'V', 5);
    VIDIOC_REQBUFS: Opcode = 0xc014_5608, read_write::<RequestBuffers>(b'V', 8);
    VIDIOC_QUERYBUF: Opcode = 0xc058_5609, read_write::<Buffer>(b'V', 9);
    VIDIOC_QBUF: Opcode = 0xc058_560f, read_write::<Buffer>(b'V', 15);
    VIDIOC_DQBUF: Opcode = 0xc058_5611, read_write::<Buffer>(b'V', 17);
    VIDIOC_STREAMON: Opcode = 0x4004_5612, write::<i32>(b'V', 18);
    VIDIOC_STREAMOFF: Opcode = 0x4004_5613, write::<i32>(b'V', 19);
    VIDIOC_G_CTRL: Opcode = 0xc008_561b, read_write::<Control>(b'V', 27);
    VIDIOC_S_CTRL: Opcode = 0xc008_561c, read_write::<Control>(b'V', 28);
    VIDIOC_G_EXT_CTRLS: Opcode = 0xc020_5647, read_write::<ExtControls>(b'V', 71);
    VIDIOC_S_EXT_CTRLS: Opcode = 0xc020_5648, read_write::<ExtControls>(b'V', 72);
    VIDIOC_QUERY_EXT_CTRL: Opcode = 0xc0e8_5667, read_write::<QueryExtCtrl>(b'V', 103);

    V4L2_CAP_VIDEO_CAPTURE: u32 = 0x0000_0001;
    V4L2_CAP_META_CAPTURE: u32 = 0x0080_0000;
    V4L2_CAP_META_OUTPUT: u32 = 0x0800_0000;
    V4L2_CAP_STREAMING: u32 = 0x0400_0000;
    /// Formats follow the media graph, not the other way round.
    V4L2_CAP_IO_MC: u32 = 0x2000_0000;

    V4L2_BUF_FLAG_ERROR: u32 = 0x0000_0040;
    V4L2_BUF_FLAG_TIMESTAMP_MASK: u32 = 0x0000_e000;
    V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC: u32 = 0x0000_2000;
    V4L2_BUF_FLAG_TIMESTAMP_COPY: u32 = 0x0000_4000;

    /// The control means nothing now.
    V4L2_CTRL_FLAG_INACTIVE: u32 = 0x0010;

    V4L2_CID_EXPOSURE: u32 = 0x0098_0911;
    V4L2_CID_HFLIP: u32 = 0x0098_0914;
    V4L2_CID_VFLIP: u32 = 0x0098_0915;
    V4L2_CID_VBLANK: u32 = 0x009e_0901;
    V4L2_CID_HBLANK: u32 = 0x009e_0902;
    V4L2_CID_ANALOGUE_GAIN: u32 = 0x009e_0903;
    V4L2_CID_NOTIFY_GAINS: u32 = 0x009e_0909;
    V4L2_CID_PIXEL_RATE: u32 = 0x009f_0902;
}

/// Kinds of queue (`enum v4l2_buf_type`).
pub(crate) const V4L2_BUF_TYPE_VIDEO_CAPTURE: u32 = 1;
pub(crate) const V4L2_BUF_TYPE_META_CAPTURE: u32 = 13;
pub(crate) const V4L2_BUF_TYPE_META_OUTPUT: u32 = 14;
/// Buffers are the driver's and mapped here (`enum v4l2_memory`).
pub(crate) const V4L2_MEMORY_MMAP: u32 = 1;
/// Progressive (`enum v4l2_field`).
pub(crate) const V4L2_FIELD_NONE: u32 = 1;
