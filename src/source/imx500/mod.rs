//! The camera.

mod graph;
mod ioctl;
mod mapping;
mod receiver;
mod uapi;
