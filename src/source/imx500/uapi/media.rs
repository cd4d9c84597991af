//! `linux/media.h`: the graph of entities, pads and links, and the device nodes behind them.

use rustix::ioctl::Opcode;
use rustix::ioctl::opcode::read_write;

use super::{kernel_numbers, kernel_structs};

kernel_structs! {
    /// Who drives a media device.
    #[repr(C)]
    struct DeviceInfo = "media_device_info", 256 {
        driver: [u8; 16] = "driver", 0;
        model: [u8; 32] = "model", 16;
        serial: [u8; 40] = "serial", 48;
        bus_info: [u8; 32] = "bus_info", 88;
        media_version: u32 = "media_version", 120;
        hw_revision: u32 = "hw_revision", 124;
        driver_version: u32 = "driver_version", 128;
        reserved: [u32; 31] = "reserved", 132;
    }

    /// Where the four tables of a graph are to be written, and how long they are.
    #[repr(C)]
    struct Topology = "media_v2_topology", 72 {
        topology_version: u64 = "topology_version", 0;
        num_entities: u32 = "num_entities", 8;
        reserved1: u32 = "reserved1", 12;
        ptr_entities: u64 = "ptr_entities", 16;
        num_interfaces: u32 = "num_interfaces", 24;
        reserved2: u32 = "reserved2", 28;
        ptr_interfaces: u64 = "ptr_interfaces", 32;
        num_pads: u32 = "num_pads", 40;
        reserved3: u32 = "reserved3", 44;
        ptr_pads: u64 = "ptr_pads", 48;
        num_links: u32 = "num_links", 56;
        reserved4: u32 = "reserved4", 60;
        ptr_links: u64 = "ptr_links", 64;
    }

    /// A part of the graph: sensor, receiver, node.
    #[repr(C)]
    struct Entity = "media_v2_entity", 96 {
        id: u32 = "id", 0;
        name: [u8; 64] = "name", 4;
        function: u32 = "function", 68;
        flags: u32 = "flags", 72;
        reserved: [u32; 5] = "reserved", 76;
    }

    /// A device node.
    #[repr(C)]
    struct Interface = "media_v2_interface", 112 {
        id: u32 = "id", 0;
        kind: u32 = "intf_type", 4;
        flags: u32 = "flags", 8;
        reserved: [u32; 9] = "reserved", 12;
        major: u32 = "devnode.major", 48;
        minor: u32 = "devnode.minor", 52;
        reserved2: [u32; 14], 56;
    }

    /// Where links end.
    #[repr(C)]
    struct Pad = "media_v2_pad", 32 {
        id: u32 = "id", 0;
        entity_id: u32 = "entity_id", 4;
        flags: u32 = "flags", 8;
        index: u32 = "index", 12;
        reserved: [u32; 4] = "reserved", 16;
    }

    /// From pad to pad, or from a device node to its entity.
    #[repr(C)]
    struct Link = "media_v2_link", 40 {
        id: u32 = "id", 0;
        source_id: u32 = "source_id", 4;
        sink_id: u32 = "sink_id", 8;
        flags: u32 = "flags", 12;
        reserved: [u32; 6] = "reserved", 16;
    }

    /// A pad as [`LinkDesc`] names it.
    #[repr(C)]
    struct PadDesc = "media_pad_desc", 20 {
        entity: u32 = "entity", 0;
        index: u16 = "index", 4;
        reserved: u16, 6;
        flags: u32 = "flags", 8;
        reserved2: [u32; 2] = "reserved", 12;
    }

    /// A link to be switched.
    #[repr(C)]
    struct LinkDesc = "media_link_desc", 52 {
        source: PadDesc = "source", 0;
        sink: PadDesc = "sink", 20;
        flags: u32 = "flags", 40;
        reserved: [u32; 2] = "reserved", 44;
    }
}

kernel_numbers! {
    MEDIA_IOC_DEVICE_INFO: Opcode = 0xc100_7c00, read_write::<DeviceInfo>(b'|', 0);
    MEDIA_IOC_SETUP_LINK: Opcode = 0xc034_7c03, read_write::<LinkDesc>(b'|', 3);
    MEDIA_IOC_G_TOPOLOGY: Opcode = 0xc048_7c04, read_write::<Topology>(b'|', 4);

    MEDIA_ENT_F_CAM_SENSOR: u32 = 0x0002_0001;
    MEDIA_PAD_FL_SOURCE: u32 = 2;
    MEDIA_LNK_FL_ENABLED: u32 = 1;
    MEDIA_LNK_FL_IMMUTABLE: u32 = 2;
}
