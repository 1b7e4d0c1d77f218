//! The places of the demonstration: cities, harbours and mountains of the world.

use std::sync::LazyLock;

const TABLE: &str = include_str!("../data/places.tsv");

/// Units of a tutorial [`Point`](crate::route_guide::Point) in one degree.
pub const E7_PER_DEGREE: f64 = 1e7;

/// A named point of the globe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Name, with the country or region where one is needed to tell it apart.
    pub name: &'static str,
    /// Degrees north times ten million.
    pub latitude_e7: i32,
    /// Degrees east times ten million.
    pub longitude_e7: i32,
}

/// All places, in the order of `data/places.tsv`; right to about 0.1 degree.
///
/// # Panics
/// On first use, if the table built into the program has a malformed line.
pub fn places() -> &'static [Place] {
    static PLACES: LazyLock<Vec<Place>> = LazyLock::new(|| {
        TABLE
            .lines()
            .skip(1)
            .map(|line| parse(line).unwrap_or_else(|| panic!("malformed place: {line:?}")))
            .collect()
    });
    &PLACES
}

fn parse(line: &'static str) -> Option<Place> {
    let mut fields = line.split('\t');
    let (name, latitude, longitude) = (fields.next()?, fields.next()?, fields.next()?);
    let complete = fields.next().is_none() && !name.is_empty();
    complete.then_some(Place {
        name,
        latitude_e7: degrees_e7(latitude, 90.0)?,
        longitude_e7: degrees_e7(longitude, 180.0)?,
    })
}

fn degrees_e7(text: &str, limit: f64) -> Option<i32> {
    let degrees: f64 = text.parse().ok()?;
    (degrees.abs() <= limit).then(|| (degrees * E7_PER_DEGREE).round() as i32)
}
