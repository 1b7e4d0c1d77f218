//! The four kinds of gRPC call, as a client of RouteGuide makes them.

use std::time::{Duration, Instant};

use futures_util::stream;
use prost::Message;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::digest::Digest;
use super::transport::Transport;
use crate::places::{E7_PER_DEGREE, Place, places};
use crate::route_guide::{Feature, Point, Rectangle, RouteGuideClient, RouteNote, RouteSummary};

/// Messages that a streaming call sends.
pub const MESSAGES_PER_STREAM: usize = 10;

const RECTANGLE_REACH_E7: i32 = (6.0 * E7_PER_DEGREE) as i32;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One message each way.
    Unary,
    /// One question, a stream of answers.
    ServerStream,
    /// A stream of messages, one answer.
    ClientStream,
    /// Ping-pong: every message waits for the answer to the one before.
    BidiStream,
}

impl Kind {
    /// All kinds, in the order of the table.
    pub const ALL: [Self; 4] = [
        Self::Unary,
        Self::ServerStream,
        Self::ClientStream,
        Self::BidiStream,
    ];

    /// What the table calls it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server stream",
            Self::ClientStream => "client stream",
            Self::BidiStream => "bidirectional",
        }
    }

    /// The method of RouteGuide that is of this kind.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Unary => "GetFeature",
            Self::ServerStream => "ListFeatures",
            Self::ClientStream => "RecordRoute",
            Self::BidiStream => "RouteChat",
        }
    }

    /// Makes the call numbered `index`: the same number asks the same question.
    ///
    /// # Errors
    /// The status the call ended with.
    pub async fn call<T: Transport>(
        self,
        client: &mut RouteGuideClient<T>,
        index: usize,
    ) -> Result<Reply, Status> {
        let started = Instant::now();
        let answers = match self {
            Self::Unary => get_feature(client, index).await?,
            Self::ServerStream => list_features(client, index).await?,
            Self::ClientStream => record_route(client, index).await?,
            Self::BidiStream => route_chat(client, index).await?,
        };
        Ok(Reply {
            took: started.elapsed(),
            answers,
        })
    }
}

/// What came back from one call.
#[derive(Debug)]
pub struct Reply {
    /// From the first message out to the last one in.
    pub took: Duration,
    answers: Answers,
}

#[derive(Debug)]
enum Answers {
    Feature(Feature),
    Features(Vec<Feature>),
    Summary(RouteSummary),
    Notes(Vec<RouteNote>),
}

impl Reply {
    /// Adds the answers to `digest` as those of the call numbered `index`.
    pub fn digest_into(&self, index: usize, digest: &mut Digest) {
        match &self.answers {
            Answers::Feature(feature) => digest.add(index, [feature.encode_to_vec()]),
            Answers::Features(features) => {
                digest.add(index, features.iter().map(Message::encode_to_vec))
            }
            Answers::Summary(summary) => {
                // A machine that stalls for a second must not make two equal
                // routes differ.
                let timeless = RouteSummary {
                    elapsed_time: 0,
                    ..*summary
                };
                digest.add(index, [timeless.encode_to_vec()]);
            }
            Answers::Notes(notes) => digest.add(index, notes.iter().map(Message::encode_to_vec)),
        }
    }
}

fn place(index: usize) -> &'static Place {
    let places = places();
    &places[index % places.len()]
}

async fn get_feature<T: Transport>(
    client: &mut RouteGuideClient<T>,
    index: usize,
) -> Result<Answers, Status> {
    let point = Point::from(place(index));
    let feature = client.get_feature(point).await?.into_inner();
    Ok(Answers::Feature(feature))
}

async fn list_features<T: Transport>(
    client: &mut RouteGuideClient<T>,
    index: usize,
) -> Result<Answers, Status> {
    let centre = place(index);
    let corner = |reach: i32| Point {
        latitude: centre.latitude_e7.saturating_add(reach),
        longitude: centre.longitude_e7.saturating_add(reach),
    };
    let around = Rectangle {
        lo: Some(corner(-RECTANGLE_REACH_E7)),
        hi: Some(corner(RECTANGLE_REACH_E7)),
    };
    let mut stream = client.list_features(around).await?.into_inner();
    let mut features = Vec::new();
    while let Some(feature) = stream.message().await? {
        features.push(feature);
    }
    Ok(Answers::Features(features))
}

async fn record_route<T: Transport>(
    client: &mut RouteGuideClient<T>,
    index: usize,
) -> Result<Answers, Status> {
    let route = (index..index + MESSAGES_PER_STREAM).map(|stop| Point::from(place(stop)));
    let summary = client.record_route(stream::iter(route)).await?.into_inner();
    Ok(Answers::Summary(summary))
}

/// Goes half way and back, so that every place is visited twice and the second
/// note there is answered by both.
async fn route_chat<T: Transport>(
    client: &mut RouteGuideClient<T>,
    index: usize,
) -> Result<Answers, Status> {
    const HALF: usize = MESSAGES_PER_STREAM / 2;
    let (out, outbound) = mpsc::channel(1);
    let mut inbound = client
        .route_chat(ReceiverStream::new(outbound))
        .await?
        .into_inner();
    let mut notes = Vec::with_capacity(3 * HALF);
    let way = (0..HALF).chain((0..HALF).rev());
    for (step, stop) in way.enumerate() {
        let here = place(index + stop);
        let note = RouteNote {
            location: Some(here.into()),
            message: format!("{} at step {step}", here.name),
        };
        if out.send(note).await.is_err() {
            return Err(ended_early(inbound.message().await));
        }
        let answers_due = if step < HALF { 1 } else { 2 };
        for _ in 0..answers_due {
            match inbound.message().await {
                Ok(Some(note)) => notes.push(note),
                end => return Err(ended_early(end)),
            }
        }
    }
    drop(out);
    while let Some(note) = inbound.message().await? {
        notes.push(note);
    }
    Ok(Answers::Notes(notes))
}

fn ended_early(end: Result<Option<RouteNote>, Status>) -> Status {
    end.err().unwrap_or_else(|| {
        Status::new(
            Code::DataLoss,
            "RouteChat ended before every note was answered",
        )
    })
}
