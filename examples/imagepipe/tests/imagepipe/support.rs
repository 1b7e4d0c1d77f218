use bytes::Bytes;
use nowire_imagepipe::photo::{Format, Photo};
use nowire_imagepipe::proto::job::Work;
use nowire_imagepipe::proto::{self, CompressTo, Digest, Job, Return, TranscodeTo};
use nowire_imagepipe::{Carrier, Pipeline, Placement, Program};

pub(crate) const CARRIERS: [Carrier; 3] = [Carrier::Unix, Carrier::Nowire, Carrier::Refs];

pub(crate) fn start(carrier: Carrier) -> Pipeline {
    let program = Program {
        path: env!("CARGO_BIN_EXE_imagepipe").into(),
        arguments: vec!["tier".into()],
    };
    Pipeline::start(&program, carrier, Placement::Free).unwrap()
}

pub(crate) fn photo(format: Format, bytes: usize) -> Bytes {
    Photo::new(format, bytes, 7).unwrap().bytes().clone()
}

pub(crate) const RETURN: Work = Work::Return(Return {});
pub(crate) const DIGEST: Work = Work::Digest(Digest {});
pub(crate) const TO_JPEG: Work = Work::Transcode(TranscodeTo {
    format: proto::Format::Jpeg as i32,
    longest_side: 0,
});
pub(crate) const COMPRESS: Work = Work::Compress(CompressTo { quality: 50 });

pub(crate) fn job(image: &Bytes, work: Work) -> Job {
    Job {
        image: Some(image.clone().into()),
        work: Some(work),
    }
}
