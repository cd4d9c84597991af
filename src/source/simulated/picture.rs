//! A picture in memory: what a scene shows to the simulated sensor.
//!
//! Bounded three times: the stated size is checked before anything is decoded, the decoder has its own
//! limit on memory, and what is kept is reduced so that its longer side is at most
//! [`MAX_KEPT_SIDE`] pixels, far more than any network of the sensor can see.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader};

use super::area::{AreaResize, View};
use crate::source::SourceError;

/// Interleaved RGB, 8 bits, row-major. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// Takes `width * height * 3` bytes; refuses any other length and empty pictures.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, SourceError> {
        let wanted = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(3));
        if wanted != Some(rgb.len()) || rgb.is_empty() {
            let got = rgb.len();
            return Err(SourceError::Scene(format!(
                "picture of {width}x{height} pixels with {got} bytes; width * height * 3 wanted, and not 0"
            )));
        }
        Ok(Self { width, height, rgb })
    }

    /// Reads a picture file of any format the `image` crate was built with, as its EXIF orientation says.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        Ok(Self::open_whole(path)?.reduced())
    }

    /// The same with every pixel kept.
    pub fn open_whole(path: &Path) -> Result<Self, SourceError> {
        decode(open_reader(path)?, &path.display().to_string())
    }

    /// The same from bytes in memory; `name` appears in errors.
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, SourceError> {
        if bytes.is_empty() {
            return Err(empty_file(name));
        }
        Ok(decode(Cursor::new(bytes), name)?.reduced())
    }

    /// Reads the header only and refuses what [`Picture::open`] would refuse by its header.
    pub fn check(path: &Path) -> Result<(), SourceError> {
        decoder(open_reader(path)?, &path.display().to_string()).map(drop)
    }

    /// Pixels a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// All pixels, `height * width * 3` bytes.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The same without a copy.
    #[must_use]
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// The whole of it.
    #[must_use]
    pub fn whole(&self) -> View {
        View { left: 0.0, top: 0.0, width: self.width as f64, height: self.height as f64 }
    }

    fn reduced(self) -> Self {
        let longer = self.width.max(self.height);
        if longer <= MAX_KEPT_SIDE {
            return self;
        }
        let width = (self.width * MAX_KEPT_SIDE / longer).max(1);
        let height = (self.height * MAX_KEPT_SIDE / longer).max(1);
        let mut rgb = vec![0; width * height * 3];
        AreaResize::default().resize(&self, self.whole(), (width, height), |x, y, pixel| {
            let at = (y * width + x) * 3;
            rgb[at..at + 3].copy_from_slice(&pixel.map(super::area::to_byte));
        });
        Self { width, height, rgb }
    }
}

fn open_reader(path: &Path) -> Result<BufReader<File>, SourceError> {
    let name = path.display();
    let file = File::open(path).map_err(|error| {
        SourceError::Scene(format!(
            "{name}: cannot be opened: {error}; check the path and its permissions"
        ))
    })?;
    let mut reader = BufReader::new(file);
    let start = reader.fill_buf().map_err(|error| {
        SourceError::Scene(format!("{name}: cannot be read: {error}; give a picture file"))
    })?;
    if start.is_empty() {
        return Err(empty_file(&name.to_string()));
    }
    Ok(reader)
}

fn decode<R: BufRead + Seek>(bytes: R, name: &str) -> Result<Picture, SourceError> {
    let mut decoder = decoder(bytes, name)?;
    // A picture without the EXIF entry, or with a broken one, is taken as it lies.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut decoded =
        DynamicImage::from_decoder(decoder).map_err(|error| undecodable(name, &error))?;
    decoded.apply_orientation(orientation);
    let rgb = decoded.into_rgb8();
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    Picture::new(width, height, rgb.into_raw())
}

fn decoder<'a, R: BufRead + Seek + 'a>(
    bytes: R,
    name: &str,
) -> Result<impl ImageDecoder + use<'a, R>, SourceError> {
    // The content decides, not the extension: a text file named .png has no format at all.
    let reader = ImageReader::new(bytes)
        .with_guessed_format()
        .map_err(|error| SourceError::Scene(format!("{name}: cannot be read: {error}")))?;
    let decoder = reader.into_decoder().map_err(|error| undecodable(name, &error))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(SourceError::Scene(format!(
            "{name}: the picture is {width}x{height} pixels; give one with at least one pixel"
        )));
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PICTURE_PIXELS {
        return Err(SourceError::Scene(format!(
            "{name}: the picture is {width}x{height}, {pixels} pixels; at most {MAX_PICTURE_PIXELS} \
             are accepted: reduce it first"
        )));
    }
    Ok(decoder)
}

fn empty_file(name: &str) -> SourceError {
    SourceError::Scene(format!("{name}: the file is empty; give a picture ({FORMATS})"))
}

fn undecodable(name: &str, error: &image::ImageError) -> SourceError {
    SourceError::Scene(format!("{name}: not a readable picture: {error}; give one of {FORMATS}"))
}

/// Larger than any fundus camera's picture; decoded it is 192 MB for a moment.
pub const MAX_PICTURE_PIXELS: u64 = 64_000_000;

/// 2048 x 2048 x 3 bytes are 12.6 MB; the largest input of the sensor is 1280 x 960.
pub const MAX_KEPT_SIDE: usize = 2048;

/// What `image` was built with, in words for errors.
const FORMATS: &str = "JPEG, PNG, TIFF, BMP, GIF, WebP, PNM";

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG whose header says `width` x `height`, with correct check sums and no pixels.
    fn png_header(width: u32, height: u32) -> Vec<u8> {
        fn chunk(kind: [u8; 4], data: &[u8], png: &mut Vec<u8>) {
            png.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            png.extend(kind);
            png.extend(data);
            let mut crc = u32::MAX;
            for &byte in kind.iter().chain(data) {
                crc ^= u32::from(byte);
                for _ in 0..8 {
                    crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                }
            }
            png.extend((!crc).to_be_bytes());
        }
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
        header.extend([8, 2, 0, 0, 0]); // 8 bits, RGB, deflate, adaptive filter, not interlaced
        chunk(*b"IHDR", &header, &mut png);
        chunk(*b"IDAT", &[], &mut png);
        png
    }

    fn refusal(bytes: &[u8]) -> String {
        Picture::decode(bytes, "eye.png").unwrap_err().to_string()
    }

    #[test]
    fn refuses_an_empty_file_by_name() {
        assert_eq!(
            refusal(b""),
            "eye.png: the file is empty; give a picture (JPEG, PNG, TIFF, BMP, GIF, WebP, PNM)"
        );
    }

    #[test]
    fn refuses_text_by_name_and_says_what_to_give() {
        let said = refusal(b"this is not a picture");
        assert!(said.starts_with("eye.png: not a readable picture: "), "{said}");
        assert!(said.ends_with("give one of JPEG, PNG, TIFF, BMP, GIF, WebP, PNM"), "{said}");
    }

    #[test]
    fn refuses_a_picture_over_the_limit_before_decoding_it() {
        let said = refusal(&png_header(8001, 8000));
        assert_eq!(
            said,
            "eye.png: the picture is 8001x8000, 64008000 pixels; at most 64000000 are accepted: reduce it first"
        );
        // At the limit the missing pixels are what is wrong.
        assert!(refusal(&png_header(8000, 8000)).contains("not a readable picture"));
    }

    #[test]
    fn refuses_a_picture_without_pixels() {
        let said = refusal(&png_header(0, 0));
        assert!(said.starts_with("eye.png: "), "{said}");
        let said = Picture::decode(b"P6 0 0 255\n", "eye.ppm").unwrap_err().to_string();
        assert!(said.starts_with("eye.ppm: "), "{said}");
        assert!(Picture::new(0, 0, Vec::new()).is_err());
        assert!(Picture::new(2, 1, vec![0; 5]).is_err());
    }

    #[test]
    fn refuses_every_truncation_of_a_picture() {
        let mut png = Vec::new();
        let pixels = image::RgbImage::from_raw(5, 4, (0..60).collect()).unwrap();
        pixels.write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
        assert_eq!(Picture::decode(&png, "eye.png").unwrap().rgb(), pixels.as_raw().as_slice());
        // The last chunk (12 bytes, IEND) carries nothing: a decoder may do without it.
        for len in 0..png.len() - 12 {
            assert!(Picture::decode(&png[..len], "eye.png").is_err(), "len {len}");
        }
    }

    #[test]
    fn keeps_a_large_picture_reduced_and_in_proportion() {
        let mut pgm = b"P5 4096 1024 255\n".to_vec();
        pgm.resize(pgm.len() + 4096 * 1024, 200);
        let kept = Picture::decode(&pgm, "wide.pgm").unwrap();
        assert_eq!((kept.width(), kept.height()), (2048, 512));
        assert!(kept.rgb().iter().all(|&byte| byte == 200));
    }

    #[test]
    fn refuses_a_missing_file_by_name() {
        let said = Picture::open(Path::new("no/such/eye.png")).unwrap_err().to_string();
        assert!(said.starts_with("no/such/eye.png: cannot be opened: "), "{said}");
    }
}
