//! What is done with images: by the tiers, and by whoever checks them.

use std::io::Cursor;

use image::{DynamicImage, ImageError, ImageReader, Limits};

use crate::photo::{Format, encode};

/// Of the JPEGs that the transcoder makes.
const QUALITY: u8 = 90;

/// Longest side of an image that anybody decodes, in pixels.
const LONGEST_SIDE: u32 = 1 << 14;

/// Most memory that decoding an image may take.
const DECODED_BYTES: u64 = 512 << 20;

/// Why an image could not be worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// It is no JPEG or PNG that can be decoded: send another.
    #[error("the image cannot be decoded: {0}")]
    Unreadable(#[source] ImageError),
    /// It would take more pixels or memory than a server gives to one: send a
    /// smaller one.
    #[error("the image is too large to be decoded: {0}")]
    TooLarge(#[source] ImageError),
    /// There is no such quality.
    #[error("{0} is no quality of a JPEG: ask for 1 to 100")]
    Quality(u32),
    /// The result could not be encoded; the sender can do nothing about it.
    #[error("the result cannot be encoded: {0}")]
    Unwritable(#[source] ImageError),
}

/// Puts an image into another format, its longest side at most so many pixels.
///
/// # Errors
/// If the image cannot be decoded, or the result not be encoded.
pub fn transcode(
    image: &[u8],
    to: Format,
    longest_side: Option<u32>,
) -> Result<Vec<u8>, WorkError> {
    let mut pixels = decode(image)?;
    if let Some(side) = longest_side
        && pixels.width().max(pixels.height()) > side
    {
        pixels = pixels.thumbnail(side, side);
    }
    encode(&pixels.into_rgb8(), to, QUALITY).map_err(WorkError::Unwritable)
}

/// Makes a JPEG of this quality, 1 to 100, of an image.
///
/// # Errors
/// If there is no such quality, the image cannot be decoded, or the result not be
/// encoded.
pub fn compress(image: &[u8], quality: u32) -> Result<Vec<u8>, WorkError> {
    let quality = u8::try_from(quality)
        .ok()
        .filter(|quality| (1..=100).contains(quality))
        .ok_or(WorkError::Quality(quality))?;
    let pixels = decode(image)?.into_rgb8();
    encode(&pixels, Format::Jpeg, quality).map_err(WorkError::Unwritable)
}

fn decode(image: &[u8]) -> Result<DynamicImage, WorkError> {
    let mut reader = ImageReader::new(Cursor::new(image))
        .with_guessed_format()
        .map_err(|error| WorkError::Unreadable(error.into()))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(DECODED_BYTES);
    reader.limits(limits);
    reader.decode().map_err(|error| match error {
        ImageError::Limits(_) => WorkError::TooLarge(error),
        _ => WorkError::Unreadable(error),
    })
}

/// A number that depends on every byte and its place, to compare images by; no
/// protection against anybody.
pub fn digest(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |digest: u64, word: u64| (digest.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    // Four at a time, as a step waits for the one before.
    let mut lanes = [1, 2, 3, 4];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
    let rest = rest.iter().map(|&byte| u64::from(byte));
    lanes.into_iter().chain(rest).fold(bytes.len() as u64, step)
}
