//! Tiers that die, and those that go on without them.

use std::time::Duration;

use bytes::Bytes;
use nowire_imagepipe::photo::Format;
use nowire_imagepipe::proto::job::Work;
use nowire_imagepipe::tier::Tier;
use nowire_imagepipe::{Client, Pipeline};
use rustix::process::{Pid, Signal, kill_process};
use tonic::Code;

use crate::support::{CARRIERS, COMPRESS, DIGEST, RETURN, TO_JPEG, job, photo, start};

/// As many as it takes to reach both image services.
const CALLS: usize = 4;

fn signal(pipeline: &Pipeline, tier: Tier, signal: Signal) {
    let id = pipeline.process_id(tier).unwrap();
    let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

async fn assert_answered(client: &Client, image: &Bytes, works: &[Work], without: Tier) {
    for work in works {
        for _ in 0..CALLS {
            let answered = client.process(job(image, *work)).await;
            assert!(answered.is_ok(), "without {without}: {answered:.300?}");
        }
    }
}

#[tokio::test]
async fn without_the_compressor_its_work_is_unavailable_and_all_other_work_done() {
    let image = photo(Format::Jpeg, 24 << 10);
    for carrier in CARRIERS {
        let pipeline = start(carrier);
        let client = pipeline.connect().await.unwrap();
        let all = [RETURN, DIGEST, TO_JPEG, COMPRESS];
        assert_answered(&client, &image, &all, Tier::Compressor).await;
        signal(&pipeline, Tier::Compressor, Signal::KILL);
        for _ in 0..CALLS {
            let refused = client.process(job(&image, COMPRESS)).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unavailable, "{carrier}: {refused}");
            assert!(
                refused.message().contains("compressor"),
                "{carrier}: {refused}"
            );
        }
        assert_answered(&client, &image, &all[..3], Tier::Compressor).await;
    }
}

#[tokio::test]
async fn work_under_which_the_compressor_dies_is_unavailable() {
    let image = photo(Format::Jpeg, 24 << 10);
    for carrier in CARRIERS {
        let pipeline = start(carrier);
        let client = pipeline.connect().await.unwrap();
        // It keeps what it is given, and does nothing.
        signal(&pipeline, Tier::Compressor, Signal::STOP);
        let begun = {
            let (client, job) = (client.clone(), job(&image, COMPRESS));
            tokio::spawn(async move { client.process(job).await })
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!begun.is_finished(), "{carrier}: a stopped process answers");
        signal(&pipeline, Tier::Compressor, Signal::KILL);
        let refused = begun.await.unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{carrier}: {refused}");
        assert_answered(&client, &image, &[RETURN, TO_JPEG], Tier::Compressor).await;
    }
}

#[tokio::test]
async fn the_balancer_does_with_one_image_service() {
    let image = photo(Format::Jpeg, 24 << 10);
    for carrier in CARRIERS {
        let pipeline = start(carrier);
        let client = pipeline.connect().await.unwrap();
        signal(&pipeline, Tier::Images1, Signal::KILL);
        assert_answered(&client, &image, &[RETURN, DIGEST, TO_JPEG], Tier::Images1).await;
        signal(&pipeline, Tier::Images2, Signal::KILL);
        let refused = client.process(job(&image, RETURN)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{carrier}: {refused}");
    }
}
