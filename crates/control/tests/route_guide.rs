//! The tutorial service answers as the tutorial says, whatever carries it.

use futures_util::stream;
use nowire_control::route_guide::{
    Guide, NOTES_PER_CALL, Point, Rectangle, RouteGuideClient, RouteGuideServer, RouteNote,
};
use tonic::Code;

const LONDON: Point = degrees(51.51, -0.13);
const PARIS: Point = degrees(48.86, 2.35);
const OPEN_SEA: Point = degrees(30.0, -40.0);

const fn degrees(north: f64, east: f64) -> Point {
    Point {
        latitude: (north * 1e7).round() as i32,
        longitude: (east * 1e7).round() as i32,
    }
}

fn client() -> RouteGuideClient<RouteGuideServer<Guide>> {
    RouteGuideClient::new(RouteGuideServer::new(Guide))
}

fn note(location: Point, message: &str) -> RouteNote {
    RouteNote {
        location: Some(location),
        message: message.to_owned(),
    }
}

#[tokio::test]
async fn a_known_point_has_its_name() {
    let feature = client().get_feature(PARIS).await.unwrap().into_inner();
    assert_eq!(feature.name, "Paris, France");
    assert_eq!(feature.location, Some(PARIS));
}

#[tokio::test]
async fn an_unknown_point_is_a_feature_without_a_name() {
    let feature = client().get_feature(OPEN_SEA).await.unwrap().into_inner();
    assert_eq!(feature.name, "");
    assert_eq!(feature.location, Some(OPEN_SEA));
}

#[tokio::test]
async fn a_rectangle_is_the_same_from_any_two_corners() {
    let mut answers = Vec::new();
    for (lo, hi) in [(LONDON, PARIS), (PARIS, LONDON)] {
        let rectangle = Rectangle {
            lo: Some(lo),
            hi: Some(hi),
        };
        let mut features = client()
            .list_features(rectangle)
            .await
            .unwrap()
            .into_inner();
        let mut names = Vec::new();
        while let Some(feature) = features.message().await.unwrap() {
            names.push(feature.name);
        }
        answers.push(names);
    }
    assert!(answers[0].contains(&"London, England".to_owned()));
    assert!(answers[0].contains(&"Paris, France".to_owned()));
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_route_is_as_long_as_the_way_along_its_points() {
    let route = stream::iter([LONDON, OPEN_SEA, LONDON, PARIS]);
    let summary = client().record_route(route).await.unwrap().into_inner();
    assert_eq!(summary.point_count, 4);
    assert_eq!(summary.feature_count, 3);
    let beeline = stream::iter([LONDON, PARIS]);
    let summary = client().record_route(beeline).await.unwrap().into_inner();
    assert!(
        (340_000..348_000).contains(&summary.distance),
        "{summary:?}"
    );
}

#[tokio::test]
async fn a_note_is_answered_by_all_notes_left_at_its_point() {
    let notes = stream::iter([
        note(LONDON, "first"),
        note(PARIS, "elsewhere"),
        note(LONDON, "second"),
    ]);
    let mut answers = client().route_chat(notes).await.unwrap().into_inner();
    let mut messages = Vec::new();
    while let Some(note) = answers.message().await.unwrap() {
        messages.push(note.message);
    }
    assert_eq!(messages, ["first", "elsewhere", "first", "second"]);
}

#[tokio::test]
async fn a_chat_without_end_is_refused_before_it_fills_the_memory() {
    let everywhere = (0..).map(|longitude| {
        let here = Point {
            latitude: 0,
            longitude,
        };
        note(here, "")
    });
    let mut answers = client()
        .route_chat(stream::iter(everywhere))
        .await
        .unwrap()
        .into_inner();
    for _ in 0..NOTES_PER_CALL {
        answers.message().await.unwrap();
    }
    let refusal = answers.message().await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
}
