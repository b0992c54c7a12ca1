//! Chance that repeats: everything follows from the seed, on every machine and with every version of every crate.

use uuid::Uuid;

/// A stream of numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but not including, 1.
    pub fn fraction(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Puts a list into another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            let other = (self.draw() % (end as u64 + 1)) as usize;
            list.swap(end, other);
        }
    }
}

/// Ids by name: the same seed and name give the same id.
#[derive(Clone, Copy, Debug)]
pub struct Names(Uuid);

impl Names {
    pub fn new(seed: u64) -> Self {
        Names(Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("practice:{seed}").as_bytes()))
    }

    pub fn id(&self, name: &str) -> Uuid {
        Uuid::new_v5(&self.0, name.as_bytes())
    }
}
