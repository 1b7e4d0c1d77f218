/// A small generator of random numbers whose sequence is the same for ever:
/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// The sequence of one thing among many that are made from a seed.
    pub(super) fn of(seed: u64, thing: u64) -> Self {
        let mut random = Self {
            state: seed ^ thing.wrapping_mul(0xd134_2543_de82_ef95),
        };
        // The states of neighbouring things are related; what follows is not.
        random.state = random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of 0 to `below` - 1.
    ///
    /// # Panics
    /// If `below` is 0.
    pub(super) fn below(&mut self, below: u32) -> u32 {
        assert!(below > 0, "there must be something to choose from");
        // The product's upper half; its bias is beyond what anybody could see.
        ((u128::from(self.next()) * u128::from(below)) >> 64) as u32
    }
}
