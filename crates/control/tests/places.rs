//! The built-in places are what the tutorial service needs them to be.

use std::collections::HashSet;

use nowire_control::places::{E7_PER_DEGREE, places};

#[test]
fn there_are_hundreds_of_places() {
    assert!(places().len() >= 300, "{} places", places().len());
}

#[test]
fn every_place_is_on_the_globe() {
    for place in places() {
        let latitude = f64::from(place.latitude_e7) / E7_PER_DEGREE;
        let longitude = f64::from(place.longitude_e7) / E7_PER_DEGREE;
        assert!((-90.0..=90.0).contains(&latitude), "{place:?}");
        assert!((-180.0..=180.0).contains(&longitude), "{place:?}");
        assert!(!place.name.trim().is_empty(), "{place:?}");
    }
}

#[test]
fn no_two_places_share_a_name_or_a_point() {
    let names: HashSet<_> = places().iter().map(|place| place.name).collect();
    let points: HashSet<_> = places()
        .iter()
        .map(|place| (place.latitude_e7, place.longitude_e7))
        .collect();
    assert_eq!(names.len(), places().len());
    assert_eq!(points.len(), places().len());
}

#[test]
fn places_are_spread_over_every_quarter_of_the_globe() {
    for (north, east) in [(true, true), (true, false), (false, true), (false, false)] {
        let here = places()
            .iter()
            .filter(|place| (place.latitude_e7 > 0) == north && (place.longitude_e7 > 0) == east)
            .count();
        assert!(here >= 20, "north {north}, east {east}: {here}");
    }
}

#[test]
fn well_known_places_are_where_they_are() {
    let degrees = |name: &str| {
        let place = places().iter().find(|place| place.name == name);
        place.map(|place| {
            (
                f64::from(place.latitude_e7) / E7_PER_DEGREE,
                f64::from(place.longitude_e7) / E7_PER_DEGREE,
            )
        })
    };
    for (name, latitude, longitude) in [
        ("Singapore", 1.3, 103.8),
        ("Ushuaia, Argentina", -54.8, -68.3),
        ("Wellington, New Zealand", -41.3, 174.8),
        ("Mount Everest", 28.0, 86.9),
    ] {
        let (north, east) = degrees(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!((north - latitude).abs() <= 0.1, "{name}: {north}");
        assert!((east - longitude).abs() <= 0.1, "{name}: {east}");
    }
}
