//! The simulated IMX500: looks at a scene, runs the emulator, emits the sensor's own bytes.

pub mod area;
pub mod faults;
pub mod isp;
pub mod picture;
pub mod scene;
pub mod timing;
