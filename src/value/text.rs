//! The normal form of texts.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Text in normalization form C, in which the language keeps all text and every name, so that what looks equal is equal.
/// Pieces that are each in that form need not be so when they stand behind each other.
#[must_use]
pub fn normal<'t>(text: impl Into<Cow<'t, str>>) -> Cow<'t, str> {
    let text = text.into();
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return text;
    }
    text.nfc().collect()
}
