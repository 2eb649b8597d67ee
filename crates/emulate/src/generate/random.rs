//! A small random number generator (SplitMix64). Its numbers are the same on every machine and in every version.

/// A random number generator.
#[derive(Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator for one purpose: the numbers depend only on `drawn_for`, such as a seed, a topic and the number of a record.
    pub fn new(drawn_for: &[u64]) -> Self {
        let mut random = Self { state: 0 };
        for part in drawn_for {
            random.state = random.next_number() ^ part.wrapping_mul(0xff51_afd7_ed55_8ccd);
        }
        random
    }

    /// A number from the whole range of `u64`.
    pub fn next_number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit - 1`; 0 when the limit is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next_number()) * u128::from(limit)) >> 64) as u64
    }

    /// A number from `least` to `most`, both included. `most` must not be less than `least`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// A number from 0 (included) to 1 (excluded).
    pub fn fraction(&mut self) -> f64 {
        (self.next_number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in `percent` of all calls.
    pub fn chance(&mut self, percent: f64) -> bool {
        self.fraction() * 100.0 < percent
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let index = self.below(choices.len() as u64);
        choices[index as usize]
    }
}
