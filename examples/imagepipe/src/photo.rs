//! Test images that behave like photographs: made from a seed, of a wanted size in
//! bytes.

mod scene;

use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageError, RgbImage};

use self::scene::Scene;

/// How an image is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// With loss, as cameras do.
    Jpeg,
    /// Without loss.
    Png,
}

/// Of JPEGs, as cameras have it.
const QUALITY: u8 = 90;

/// How often to try another number of pixels.
const TRIES: usize = 12;

/// An encoded image.
#[derive(Clone, Debug)]
pub struct Photo {
    bytes: Bytes,
    width: u32,
    height: u32,
}

impl Photo {
    /// Makes an image of about so many bytes, at most a tenth more or less if that
    /// is 4 KiB or more. The same arguments give the same image.
    ///
    /// # Errors
    /// If the encoder fails, as for want of memory.
    pub fn new(format: Format, bytes: usize, seed: u64) -> Result<Self, ImageError> {
        let scene = Scene::new(seed);
        let wanted = bytes as f64;
        // What a pixel takes depends on the scene and, for small images, on the
        // header: found by trying.
        let mut pixels = wanted * format.pixels_per_byte();
        let mut best: Option<Self> = None;
        for _ in 0..TRIES {
            let width = (pixels * 1.5).sqrt().max(1.0);
            let photo = Self::render(&scene, format, width as u32, (pixels / width) as u32)?;
            let got = photo.bytes.len() as f64;
            let off = |photo: &Self| photo.bytes.len().abs_diff(bytes);
            if best.as_ref().is_none_or(|best| off(&photo) < off(best)) {
                best = Some(photo);
            }
            if (got - wanted).abs() < wanted * 0.04 {
                break;
            }
            pixels = (pixels * wanted / got).max(1.0);
        }
        match best {
            Some(photo) => Ok(photo),
            None => Self::render(&scene, format, 1, 1),
        }
    }

    /// The image as a file has it.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Width and height in pixels.
    pub fn dimensions(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn render(scene: &Scene, format: Format, width: u32, height: u32) -> Result<Self, ImageError> {
        let (width, height) = (width.max(1), height.max(1));
        let image = RgbImage::from_fn(width, height, |x, y| {
            scene.pixel((x, y), (width, height)).into()
        });
        Ok(Self {
            bytes: encode(&image, format, QUALITY)?.into(),
            width,
            height,
        })
    }
}

impl Format {
    fn pixels_per_byte(self) -> f64 {
        match self {
            Self::Jpeg => 2.5,
            Self::Png => 0.5,
        }
    }
}

/// Encodes an image; the quality, 1 to 100, is for JPEG.
pub(crate) fn encode(image: &RgbImage, format: Format, quality: u8) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    match format {
        Format::Jpeg => image.write_with_encoder(JpegEncoder::new_with_quality(
            Cursor::new(&mut bytes),
            quality,
        ))?,
        Format::Png => image.write_with_encoder(PngEncoder::new_with_quality(
            Cursor::new(&mut bytes),
            CompressionType::Fast,
            FilterType::Adaptive,
        ))?,
    }
    Ok(bytes)
}
