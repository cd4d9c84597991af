//! The camera.

mod ioctl;
mod mapping;
mod uapi;
