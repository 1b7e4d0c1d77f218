//! What comes back does not depend on what carried it.

use bytes::Bytes;
use nowire_imagepipe::photo::Format;
use nowire_imagepipe::proto::answer::Answer;
use nowire_imagepipe::proto::job::Work;
use nowire_imagepipe::proto::{self, CompressTo, Job, TranscodeTo};
use nowire_imagepipe::{Carrier, Client, work};
use tonic::{Code, Status};

use crate::support::{CARRIERS, COMPRESS, DIGEST, RETURN, TO_JPEG, job, photo, start};

async fn image_from(client: &Client, image: &Bytes, work: Work) -> Vec<u8> {
    match client.process(job(image, work)).await.unwrap().answer {
        Some(Answer::Image(image)) => image.open().unwrap().to_vec(),
        other => panic!("no image, but {other:.80?}"),
    }
}

async fn digest_from(client: &Client, image: &Bytes) -> u64 {
    match client.process(job(image, DIGEST)).await.unwrap().answer {
        Some(Answer::Digest(digest)) => digest,
        other => panic!("no digest, but {other:.80?}"),
    }
}

#[tokio::test]
async fn every_carrier_gives_the_same_bytes() {
    let small = |format| photo(format, 4 << 10);
    let middle = |format| photo(format, 64 << 10);
    let images = [
        (small(Format::Jpeg), small(Format::Png)),
        (middle(Format::Jpeg), middle(Format::Png)),
    ];
    for carrier in CARRIERS {
        let pipeline = start(carrier);
        let client = pipeline.connect().await.unwrap();
        for (jpeg, png) in &images {
            let what = format!("{} bytes over {carrier}", jpeg.len());
            let returned = image_from(&client, jpeg, RETURN).await;
            assert!(returned == **jpeg, "{what}: the image itself");
            assert_eq!(
                digest_from(&client, jpeg).await,
                work::digest(jpeg),
                "{what}"
            );
            let transcoded = image_from(&client, png, TO_JPEG).await;
            let right = work::transcode(png, Format::Jpeg, None).unwrap();
            assert!(transcoded == right, "{what}: transcoded");
            let compressed = image_from(&client, jpeg, COMPRESS).await;
            let right = work::compress(jpeg, 50).unwrap();
            assert!(compressed == right, "{what}: compressed");
        }
    }
}

#[tokio::test]
async fn large_images_come_by_reference_where_they_can() {
    let image = photo(Format::Jpeg, 256 << 10);
    for carrier in CARRIERS {
        let pipeline = start(carrier);
        let client = pipeline.connect().await.unwrap();
        for work in [RETURN, COMPRESS] {
            match client.process(job(&image, work)).await.unwrap().answer {
                Some(Answer::Image(image)) => {
                    let by_reference = image.reference().is_some();
                    assert_eq!(
                        by_reference,
                        carrier == Carrier::Refs,
                        "{carrier}: {image:?}"
                    );
                }
                other => panic!("no image, but {other:.80?}"),
            }
        }
    }
}

#[tokio::test]
async fn megabytes_come_back_unchanged_many_at_a_time() {
    let images: Vec<Bytes> = (0..6_u8)
        .map(|tone| {
            let bytes = (0..5_000_000_u32)
                .map(|place| (place.wrapping_mul(0x9e37_79b9) >> 24) as u8 ^ tone);
            bytes.collect()
        })
        .collect();
    for carrier in CARRIERS {
        let pipeline = start(carrier);
        let client = pipeline.connect().await.unwrap();
        let calls = images.iter().map(|image| {
            let (client, image) = (client.clone(), image.clone());
            tokio::spawn(async move { image_from(&client, &image, RETURN).await == *image })
        });
        // All are begun before the first is waited for.
        let calls: Vec<_> = calls.collect();
        for call in calls {
            assert!(call.await.unwrap(), "over {carrier}");
        }
    }
}

#[tokio::test]
async fn every_carrier_gives_the_same_errors() {
    let image = photo(Format::Png, 4 << 10);
    let noise = Bytes::from(vec![7; 100_000]);
    let quality = Work::Compress(CompressTo { quality: 101 });
    let format = Work::Transcode(TranscodeTo {
        format: proto::Format::Unspecified.into(),
        longest_side: 0,
    });
    let jobs: [(Job, &str); 6] = [
        (
            Job {
                image: None,
                work: Some(RETURN),
            },
            "no image",
        ),
        (
            Job {
                work: None,
                ..job(&image, RETURN)
            },
            "what is to be done",
        ),
        (job(&image, quality), "101"),
        (job(&image, format), "format"),
        (
            job(&noise, TO_JPEG),
            "transcoder: the image cannot be decoded",
        ),
        (
            job(&noise, COMPRESS),
            "compressor: the image cannot be decoded",
        ),
    ];
    for carrier in CARRIERS {
        let pipeline = start(carrier);
        let client = pipeline.connect().await.unwrap();
        for (job, why) in &jobs {
            let refused: Status = client.process(job.clone()).await.unwrap_err();
            assert_eq!(
                refused.code(),
                Code::InvalidArgument,
                "{carrier}: {refused}"
            );
            assert!(refused.message().contains(why), "{carrier}: {refused}");
        }
    }
}
