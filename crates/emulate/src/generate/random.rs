//! A small random number generator (SplitMix64) whose numbers are the same on every machine and in every version.

#[derive(Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator for one thing: what it is drawn for (a seed, a topic, a record's number) makes its numbers.
    pub fn new(drawn_for: &[u64]) -> Self {
        let mut random = Self { state: 0 };
        for part in drawn_for {
            random.state = random.next_number() ^ part.wrapping_mul(0xff51_afd7_ed55_8ccd);
        }
        random
    }

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

    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// A number from 0 up to 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next_number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn chance(&mut self, percent: f64) -> bool {
        self.fraction() * 100.0 < percent
    }

    pub fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let index = self.below(choices.len() as u64);
        choices[index as usize]
    }
}
