//! Randomness: identities and seeds.

/// Fills a buffer from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness: nothing that Gantry promises would hold without it.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
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
