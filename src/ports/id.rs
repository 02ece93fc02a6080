//! Randomness: identities and seeds.

/// Fills a buffer from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness: nothing that Gantry promises would hold without it.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    #[cfg(test)]
    if let Some(bytes) = seeded::draw() {
        return bytes;
    }
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).expect("invariant: the operating system has a random generator");
    bytes
}

/// A random identity as lower-case hexadecimal digits, two for each of `N` bytes.
#[must_use]
pub fn random_hex<const N: usize>() -> String {
    use std::fmt::Write as _;
    random::<N>().iter().fold(String::with_capacity(2 * N), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Randomness that is the same every time, for the simulated world: per thread, and only between [`seeded::set`] and
/// [`seeded::clear`].
#[cfg(test)]
pub(crate) mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From here on this thread draws from a seed.
    pub(crate) fn set(seed: u64) {
        STATE.set(Some(seed));
    }

    /// From here on this thread draws from the operating system again.
    pub(crate) fn clear() {
        STATE.set(None);
    }

    pub(super) fn draw<const N: usize>() -> Option<[u8; N]> {
        let mut state = STATE.get()?;
        let mut bytes = [0_u8; N];
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64 (Steele, Lea, Flood, 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let word = (z ^ (z >> 31)).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        STATE.set(Some(state));
        Some(bytes)
    }
}
