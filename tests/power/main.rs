//! Instruments for power, on files laid out as the kernel and `vcgencmd` have them, and on the kernel's own
//! drivers (`driver`, which runs in the virtual machine: tests/vm/suites/power).

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod driver;
mod hwmon;
mod metering;
mod pmic;
mod rapl;
mod simulated;
mod tree;
