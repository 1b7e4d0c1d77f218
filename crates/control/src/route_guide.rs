//! gRPC's tutorial service, RouteGuide, over the built-in [places](crate::places).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Instant;

use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status, Streaming};

use crate::places::{E7_PER_DEGREE, Place, places};

mod generated {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("routeguide");
}

pub use generated::route_guide_client::RouteGuideClient;
pub use generated::route_guide_server::{RouteGuide, RouteGuideServer};
pub use generated::{Feature, Point, Rectangle, RouteNote, RouteSummary};

/// Notes that one RouteChat call may leave before it is refused, because the
/// server keeps them as long as the call lasts.
pub const NOTES_PER_CALL: usize = 10_000;

const EARTH_RADIUS_M: f64 = 6_371_000.0;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service. It has no state of its own, so equal questions get equal answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guide;

#[tonic::async_trait]
impl RouteGuide for Guide {
    type ListFeaturesStream = Answers<Feature>;
    type RouteChatStream = Answers<RouteNote>;

    async fn get_feature(&self, request: Request<Point>) -> Result<Response<Feature>, Status> {
        let point = request.into_inner();
        let name = name_at(&point).unwrap_or_default();
        Ok(Response::new(Feature {
            name: name.to_owned(),
            location: Some(point),
        }))
    }

    async fn list_features(
        &self,
        request: Request<Rectangle>,
    ) -> Result<Response<Self::ListFeaturesStream>, Status> {
        let rectangle = request.into_inner();
        let inside = places()
            .iter()
            .filter(move |place| contains(&rectangle, place))
            .map(|place| Ok(Feature::from(place)));
        Ok(Response::new(Box::pin(stream::iter(inside))))
    }

    async fn record_route(
        &self,
        request: Request<Streaming<Point>>,
    ) -> Result<Response<RouteSummary>, Status> {
        let started = Instant::now();
        let mut points = request.into_inner();
        let mut summary = RouteSummary::default();
        let mut distance_m = 0.0;
        let mut last: Option<Point> = None;
        while let Some(point) = points.message().await? {
            summary.point_count = summary.point_count.saturating_add(1);
            if name_at(&point).is_some() {
                summary.feature_count = summary.feature_count.saturating_add(1);
            }
            if let Some(last) = last {
                distance_m += great_circle_m(&last, &point);
            }
            last = Some(point);
        }
        summary.distance = distance_m as i32;
        summary.elapsed_time = i32::try_from(started.elapsed().as_secs()).unwrap_or(i32::MAX);
        Ok(Response::new(summary))
    }

    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        let mut notes = Notes::default();
        let answers = request.into_inner().flat_map(move |note| {
            let answers = match note.and_then(|note| notes.leave(note)) {
                Ok(left_here) => left_here.into_iter().map(Ok).collect(),
                Err(status) => vec![Err(status)],
            };
            stream::iter(answers)
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// What one RouteChat call has left, by point.
#[derive(Default)]
struct Notes {
    by_point: HashMap<(i32, i32), Vec<RouteNote>>,
    count: usize,
}

impl Notes {
    fn leave(&mut self, note: RouteNote) -> Result<Vec<RouteNote>, Status> {
        if self.count == NOTES_PER_CALL {
            return Err(Status::resource_exhausted(format!(
                "one RouteChat call may leave {NOTES_PER_CALL} notes; start another call"
            )));
        }
        self.count += 1;
        let here = key(&note.location.unwrap_or_default());
        let left_here = self.by_point.entry(here).or_default();
        left_here.push(note);
        Ok(left_here.clone())
    }
}

impl From<&Place> for Point {
    fn from(place: &Place) -> Self {
        Self {
            latitude: place.latitude_e7,
            longitude: place.longitude_e7,
        }
    }
}

impl From<&Place> for Feature {
    fn from(place: &Place) -> Self {
        Self {
            name: place.name.to_owned(),
            location: Some(place.into()),
        }
    }
}

fn key(point: &Point) -> (i32, i32) {
    (point.latitude, point.longitude)
}

fn name_at(point: &Point) -> Option<&'static str> {
    static NAMES: LazyLock<HashMap<(i32, i32), &str>> = LazyLock::new(|| {
        let by_point = |place: &'static Place| (key(&place.into()), place.name);
        places().iter().map(by_point).collect()
    });
    NAMES.get(&key(point)).copied()
}

fn contains(rectangle: &Rectangle, place: &Place) -> bool {
    let a = rectangle.lo.unwrap_or_default();
    let b = rectangle.hi.unwrap_or_default();
    let between = |value: i32, a: i32, b: i32| (a.min(b)..=a.max(b)).contains(&value);
    between(place.latitude_e7, a.latitude, b.latitude)
        && between(place.longitude_e7, a.longitude, b.longitude)
}

/// Haversine distance; good to half a percent, the Earth being no sphere.
fn great_circle_m(a: &Point, b: &Point) -> f64 {
    let radians = |e7: i32| (f64::from(e7) / E7_PER_DEGREE).to_radians();
    let (from, to) = (radians(a.latitude), radians(b.latitude));
    let north = (to - from) / 2.0;
    let east = (radians(b.longitude) - radians(a.longitude)) / 2.0;
    let half_chord = north.sin().powi(2) + from.cos() * to.cos() * east.sin().powi(2);
    2.0 * EARTH_RADIUS_M * half_chord.sqrt().min(1.0).asin()
}
