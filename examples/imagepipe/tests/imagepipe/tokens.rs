//! What the firewall lets through.

use nowire_imagepipe::photo::Format;
use tonic::Code;

use crate::support::{CARRIERS, RETURN, job, photo, start};

#[tokio::test]
async fn a_wrong_token_is_refused_and_the_right_one_still_good() {
    let small = photo(Format::Jpeg, 4 << 10);
    let large = vec![1; 3 << 20].into();
    for carrier in CARRIERS {
        let pipeline = start(carrier);
        let right = pipeline.connect().await.unwrap();
        let stranger = pipeline.connect_with(Some("Bearer 0123")).await.unwrap();
        let nobody = pipeline.connect_with(None).await.unwrap();
        for image in [&small, &large] {
            let refused = stranger.process(job(image, RETURN)).await.unwrap_err();
            assert_eq!(
                refused.code(),
                Code::PermissionDenied,
                "{carrier}: {refused}"
            );
            let refused = nobody.process(job(image, RETURN)).await.unwrap_err();
            assert_eq!(
                refused.code(),
                Code::Unauthenticated,
                "{carrier}: {refused}"
            );
            let answered = right.process(job(image, RETURN)).await;
            assert!(answered.is_ok(), "{carrier}: {answered:.200?}");
        }
    }
}
