//! What is on a picture: a sky with clouds, hills, a meadow, balloons, and the grain of
//! the film.

/// A landscape. Only sums, products and roots are taken, so that every machine
/// gives the same.
pub(super) struct Scene {
    seed: u64,
    sky: [Colour; 2],
    ground: [Colour; 2],
    balloons: [Balloon; 9],
}

type Colour = [f32; 3];

struct Balloon {
    centre: (f32, f32),
    radius: f32,
    colour: Colour,
}

/// How far the grain goes from the mean, in steps of 256.
const GRAIN: f32 = 9.0;

impl Scene {
    pub(super) fn new(seed: u64) -> Self {
        let share = |number: u64| share(mix(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let colour = |number: u64, from: Colour, range: f32| {
            let tone = |i: u64| from[i as usize] + range * share(number * 3 + i + 1000);
            [tone(0), tone(1), tone(2)]
        };
        Self {
            seed,
            sky: [
                colour(0, [40.0, 90.0, 150.0], 60.0),
                colour(1, [160.0, 170.0, 190.0], 60.0),
            ],
            ground: [
                colour(2, [60.0, 90.0, 40.0], 50.0),
                colour(3, [20.0, 40.0, 10.0], 40.0),
            ],
            balloons: std::array::from_fn(|i| {
                let number = i as u64;
                Balloon {
                    centre: (share(number), 0.1 + 0.7 * share(number + 100)),
                    radius: 0.02 + 0.08 * share(number + 200),
                    colour: colour(number + 10, [30.0, 20.0, 20.0], 200.0),
                }
            }),
        }
    }

    /// The colour of a pixel of a picture of this size.
    pub(super) fn pixel(&self, (x, y): (u32, u32), (width, height): (u32, u32)) -> [u8; 3] {
        let across = x as f32 / width as f32;
        let down = y as f32 / height as f32;
        let hills = 0.45
            + 0.25 * self.noise(across * 3.0, 0.5, 1)
            + 0.04 * self.noise(across * 17.0, 0.5, 2);
        let mut colour = if down < hills {
            let clouds =
                self.noise(across * 5.0, down * 9.0, 3) * self.noise(across * 13.0, down * 21.0, 4);
            blend(
                blend(self.sky[0], self.sky[1], down / hills),
                [235.0; 3],
                clouds,
            )
        } else {
            let depth = (down - hills) / (1.0 - hills);
            let grass = self.noise(across * 60.0, down * 60.0, 5) * 0.5
                + self.noise(across * 150.0, down * 150.0, 6) * 0.5;
            blend(
                blend(self.ground[0], self.ground[1], depth),
                [150.0, 160.0, 90.0],
                grass * 0.5,
            )
        };
        for balloon in &self.balloons {
            let dx = across - balloon.centre.0;
            let dy = (down - balloon.centre.1) * height as f32 / width as f32;
            let distance = (dx * dx + dy * dy).sqrt() / balloon.radius;
            if distance < 1.0 {
                // Lit from one side, soft at the rim.
                let light = 0.7 - 0.4 * (dx + dy) / balloon.radius;
                let lit = balloon.colour.map(|tone| tone * light);
                colour = blend(colour, lit, ((1.0 - distance) * 20.0).min(1.0));
            }
        }
        let grain = mix(self.seed ^ (u64::from(y) << 32 | u64::from(x)));
        let tone = |i: usize| {
            // Two numbers added lie nearer the middle, as grain does.
            let [a, b] = [grain >> (16 * i), grain >> (16 * i + 8)].map(|bits| (bits & 255) as f32);
            (colour[i] + (a + b - 255.0) / 255.0 * GRAIN).clamp(0.0, 255.0) as u8
        };
        [tone(0), tone(1), tone(2)]
    }

    /// Smooth hills and valleys between 0 and 1, a step of 1 apart.
    fn noise(&self, x: f32, y: f32, layer: u64) -> f32 {
        let (column, row) = (x as u64, y as u64);
        let corner = |dx: u64, dy: u64| {
            share(mix(self.seed
                ^ layer << 48
                ^ (row + dy) << 24
                ^ (column + dx)))
        };
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let (right, below) = (smooth(x - column as f32), smooth(y - row as f32));
        let top = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * right;
        let bottom = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * right;
        top + (bottom - top) * below
    }
}

fn blend(one: Colour, other: Colour, share: f32) -> Colour {
    std::array::from_fn(|i| one[i] + (other[i] - one[i]) * share)
}

/// Bits that have little to do with those given: the end of SplitMix64.
fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A number from 0 up to 1.
fn share(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1_u64 << 24) as f32
}
