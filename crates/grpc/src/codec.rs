//! The codec of messages with [`Blob`](nowire::Blob)s in them.

use std::marker::PhantomData;

use nowire::RefError;
use nowire::refs::encoding;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// tonic's own default.
const BUFFER_BYTES: usize = 8 << 10;

/// How many bytes of messages may be encoded before they are sent. Tokens are
/// short: more would stand for more references than go at a time.
const YIELD_BYTES: usize = 512;

/// tonic's codec for protobuf messages, which lets the blobs in them go by
/// reference where the peer is in the same domain. Stubs use it if `build.rs` has
/// `codec_path("nowire_grpc::ProstCodec")`, as `nowire-build` sets it.
#[derive(Clone, Debug)]
pub struct ProstCodec<T, U> {
    messages: PhantomData<(T, U)>,
}

impl<T, U> Default for ProstCodec<T, U> {
    fn default() -> Self {
        Self {
            messages: PhantomData,
        }
    }
}

impl<T, U> Codec for ProstCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ReferringEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ReferringEncoder {
            inner: ProstEncoder::new(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)),
        }
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::default()
    }
}

/// What [`ProstCodec`] encodes with.
#[derive(Clone, Debug)]
pub struct ReferringEncoder<T> {
    inner: ProstEncoder<T>,
}

impl<T: Message> Encoder for ReferringEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        encoding(|| self.inner.encode(item, buf)).map_err(|error| ref_status(&error))?
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.inner.buffer_settings()
    }
}

/// The status of a call that failed because of a reference: what a handler
/// returns when it cannot open a blob.
pub fn ref_status(error: &RefError) -> Status {
    let message = error.to_string();
    match error {
        RefError::Range { .. } => Status::out_of_range(message),
        RefError::Extent { .. } | RefError::Segment { .. } | RefError::Expired { .. } => {
            Status::invalid_argument(message)
        }
        _ => Status::resource_exhausted(message),
    }
}
