//! The kernel's own structs and numbers, as 64-bit Linux has them: `linux/videodev2.h`,
//! `linux/v4l2-subdev.h`, `linux/media.h`.
//!
//! Written by hand, because a generator needs libclang wherever this is built. Every size, offset and
//! ioctl number is asserted when this is compiled, and a test has the C compiler check the same
//! figures against the installed headers. Fields that are not used here are `reserved`, so that every
//! struct is as long as the kernel's; there is no padding that is not a field, and any bytes are a
//! valid value.

pub(super) mod media;
pub(super) mod subdev;
pub(super) mod video;

/// All bytes 0, which is how the kernel wants every reserved field.
pub(super) trait Zero {
    const ZERO: Self;
}

impl<T: Zero, const N: usize> Zero for [T; N] {
    const ZERO: Self = [T::ZERO; N];
}

macro_rules! zero_integers {
    ($($integer:ty)*) => { $(impl Zero for $integer { const ZERO: Self = 0; })* };
}
zero_integers!(u8 u16 u32 i32 i64 u64);

/// Defines structs and asserts where their fields lie:
/// `struct Ours = "theirs", size { field: type = "their name", offset; field without name: type, offset; }`.
macro_rules! kernel_structs {
    ($(
        $(#[$about:meta])*
        struct $ours:ident = $theirs:literal, $size:literal {
            $($(#[$field_about:meta])* $field:ident: $kind:ty $(= $named:literal)?, $offset:literal;)*
        }
    )*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, Copy)]
            pub(crate) struct $ours {
                $($(#[$field_about])* pub(crate) $field: $kind,)*
            }

            const _: () = {
                assert!(size_of::<$ours>() == $size);
                $(assert!(std::mem::offset_of!($ours, $field) == $offset);)*
            };

            impl $crate::source::imx500::uapi::Zero for $ours {
                const ZERO: Self =
                    Self { $($field: $crate::source::imx500::uapi::Zero::ZERO),* };
            }
        )*

        /// The same figures for the C compiler.
        #[cfg(test)]
        pub(super) const STRUCTS: &str = concat!($(
            "_Static_assert(sizeof(struct ", $theirs, ") == ", $size, ", \"size of ", $theirs, "\");\n",
            $($("_Static_assert(offsetof(struct ", $theirs, ", ", $named, ") == ", $offset,
                ", \"", $theirs, ".", $named, "\");\n",)?)*
        )*);
    };
}
use kernel_structs;

/// Defines numbers by their kernel name. Where a number is computed (an ioctl's holds the size of its
/// struct), asserts that it is the one that `strace` and the headers show.
macro_rules! kernel_numbers {
    ($($(#[$about:meta])* $name:ident: $kind:ty = $value:literal $(, $computed:expr)?;)*) => {
        $(
            $(#[$about])*
            pub(crate) const $name: $kind = $value;
            $(const _: () = assert!($computed == $value);)?
        )*

        /// The same figures for the C compiler. Headers older than a number do not have it; what they
        /// have must agree.
        #[cfg(test)]
        pub(super) const NUMBERS: &str = concat!($(
            "#ifdef ", stringify!($name), "\n_Static_assert((unsigned int)", stringify!($name), " == ",
            $value, "u, \"", stringify!($name), "\");\n#endif\n",
        )*);
    };
}
use kernel_numbers;

/// The text of a fixed field, up to its first NUL.
pub(super) fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// `CC` names a cross compiler where the tests run under an emulator.
    #[test]
    fn structs_and_numbers_are_those_of_the_installed_headers() {
        let source = [
            "#include <stddef.h>\n#include <linux/videodev2.h>\n",
            "#include <linux/v4l2-subdev.h>\n#include <linux/media.h>\n",
            video::STRUCTS,
            video::NUMBERS,
            subdev::STRUCTS,
            subdev::NUMBERS,
            media::STRUCTS,
            media::NUMBERS,
        ]
        .concat();
        let compiler = std::env::var("CC").unwrap_or("cc".to_owned());
        let compiling = Command::new(&compiler)
            .args(["-x", "c", "-fsyntax-only", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut compiling) = compiling else {
            eprintln!("SKIPPED: there is no C compiler `{compiler}` to ask");
            return;
        };
        compiling.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
        let compiled = compiling.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&compiled.stderr);
        if said.contains("No such file") {
            eprintln!("SKIPPED: the kernel's headers are not installed (linux-libc-dev)");
            return;
        }
        assert!(compiled.status.success(), "{said}");
    }

    #[test]
    fn text_ends_at_its_first_nul() {
        assert_eq!(text(b"unicam\0\0old"), "unicam");
        assert_eq!(text(b"full"), "full");
        assert_eq!(text(b""), "");
    }
}
