//! What a file looks like, for refusals: "this is no picture" helps less than "this is text".

/// Names the kind of a file by its first bytes.
pub(crate) fn kind_of(start: &[u8]) -> &'static str {
    let known = SIGNATURES.iter().find(|(offset, signature, _)| {
        start.get(*offset..).is_some_and(|rest| rest.starts_with(signature))
    });
    match known {
        Some((_, _, kind)) => kind,
        None if start.is_empty() => "an empty file",
        None if looks_like_onnx(start) => "an ONNX network",
        None if is_text(start) => "text",
        None => "a file of unknown kind",
    }
}

const SIGNATURES: [(usize, &[u8], &str); 16] = [
    (0, b"9464", "a network.rpk for the sensor"),
    (0, b"4649", "sensor firmware (.fpk)"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"PK\x03\x04", "a zip archive, such as packerOut.zip"),
    (0, b"\x89MCAP0\r\n", "an MCAP recording"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x7fELF", "a program"),
    (4, b"TFL3", "a TensorFlow Lite network"),
    (128, b"DICM", "a DICOM picture"),
];

/// An ONNX file is a bare protobuf: `ir_version` (field 1, a small number), then the producer's name
/// (field 2), its version (3) or the graph (7).
fn looks_like_onnx(start: &[u8]) -> bool {
    matches!(start, [0x08, 1..=20, 0x12 | 0x1a | 0x3a, ..])
}

fn is_text(start: &[u8]) -> bool {
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The cut may go through a character.
        Err(e) if start.len() - e.valid_up_to() < 4 => {
            std::str::from_utf8(&start[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && valid.chars().all(|c| !c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_a_file_looks_like() {
        for (bytes, kind) in [
            (&b""[..], "an empty file"),
            (b"9464\0\0\x10\0", "a network.rpk for the sensor"),
            (b"\x89PNG\r\n\x1a\n\0", "a PNG picture"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP picture"),
            (b"PK\x03\x04", "a zip archive, such as packerOut.zip"),
            ("Gefäße\n".as_bytes(), "text"),
            (&"Gefäße".as_bytes()[..5], "text"),
            (b"\0\x01\x02\x03", "a file of unknown kind"),
        ] {
            assert_eq!(kind_of(bytes), kind, "{bytes:?}");
        }
        assert_eq!(kind_of(crate::cli::builtin::BuiltIn::Fast.onnx()), "an ONNX network");
    }
}
