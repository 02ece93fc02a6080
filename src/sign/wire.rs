//! How OpenSSH writes numbers and strings (RFC 4251, section 5): big-endian numbers, strings with their length before them.

/// What is not what it should be; the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it ends in the middle of a field")]
pub struct Short;

/// Reads fields one after another.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Whether all was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Short> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Short)?;
        self.0 = rest;
        Ok(head)
    }

    /// A byte.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn byte(&mut self) -> Result<u8, Short> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    /// When less is left.
    pub fn uint32(&mut self) -> Result<u32, Short> {
        self.take(4).map(|bytes| bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
    }

    /// A number of 64 bits.
    ///
    /// # Errors
    /// When less is left.
    pub fn uint64(&mut self) -> Result<u64, Short> {
        self.take(8).map(|bytes| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    /// A string, which may hold anything.
    ///
    /// # Errors
    /// When less is left than its length says.
    pub fn string(&mut self) -> Result<&'a [u8], Short> {
        let length = self.uint32()?;
        self.take(usize::try_from(length).map_err(|_| Short)?)
    }

    /// A positive number of any size, without leading zeros.
    ///
    /// # Errors
    /// When less is left than its length says.
    pub fn positive(&mut self) -> Result<&'a [u8], Short> {
        let bytes = self.string()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Ok(&bytes[zeros..])
    }
}

/// Appends a string with its length.
pub fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("invariant: what is written here is far below 4 GiB");
    out.extend(length.to_be_bytes());
    out.extend(bytes);
}

/// Appends a positive number: no leading zeros but the one that keeps it positive.
pub fn put_positive(out: &mut Vec<u8>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bare = &bytes[zeros..];
    let sign = bare.first().is_some_and(|byte| byte & 0x80 != 0);
    let padded: Vec<u8> = std::iter::repeat_n(0, usize::from(sign)).chain(bare.iter().copied()).collect();
    put_string(out, &padded);
}
