//! The test images.

use nowire_imagepipe::photo::{Format, Photo};
use nowire_imagepipe::work;

#[test]
fn images_hit_their_size_in_bytes() {
    for format in [Format::Jpeg, Format::Png] {
        for seed in 0..3 {
            for bytes in [4 << 10, 10_000, 16 << 10, 64 << 10] {
                let photo = Photo::new(format, bytes, seed).unwrap();
                let off = photo.bytes().len().abs_diff(bytes);
                let got = photo.bytes().len();
                assert!(off * 10 <= bytes, "{format:?} {seed}: {got} for {bytes}");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_image_and_another_seed_another() {
    for format in [Format::Jpeg, Format::Png] {
        let make = |seed| Photo::new(format, 16 << 10, seed).unwrap();
        let (one, again, other) = (make(1), make(1), make(2));
        assert!(one.bytes() == again.bytes());
        assert!(one.bytes() != other.bytes());
    }
}

#[test]
fn images_are_what_decoders_read() {
    for (format, magic) in [
        (Format::Jpeg, &b"\xff\xd8\xff"[..]),
        (Format::Png, b"\x89PNG"),
    ] {
        let photo = Photo::new(format, 16 << 10, 1).unwrap();
        assert!(photo.bytes().starts_with(magic), "{format:?}");
        let (width, height) = photo.dimensions();
        assert!(
            width > height && height > 16,
            "{format:?}: {width} x {height}"
        );
        let small = work::transcode(photo.bytes(), Format::Png, Some(16)).unwrap();
        // The header of a PNG has its width at 16.
        assert_eq!(small[16..20], 16_u32.to_be_bytes(), "{format:?}");
    }
}

#[test]
fn compressed_images_are_smaller() {
    let photo = Photo::new(Format::Jpeg, 64 << 10, 1).unwrap();
    let compressed = work::compress(photo.bytes(), 50).unwrap();
    assert!(compressed.len() * 2 < photo.bytes().len());
}

#[test]
fn digests_tell_images_apart() {
    let image = Photo::new(Format::Jpeg, 16 << 10, 1)
        .unwrap()
        .bytes()
        .to_vec();
    let digest = work::digest(&image);
    for place in [0, 8, 1000, image.len() - 1] {
        let mut changed = image.clone();
        changed[place] ^= 1;
        assert_ne!(work::digest(&changed), digest, "a bit of byte {place}");
    }
    for bytes in [1, 8, 32] {
        let mut turned = image.clone();
        turned.rotate_left(bytes);
        assert_ne!(work::digest(&turned), digest, "turned by {bytes}");
    }
    assert_ne!(work::digest(&image[1..]), digest, "a byte less");
}
