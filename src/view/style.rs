//! Colour, only when told.

/// Whether text gets colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Text alone.
    #[default]
    Plain,
    /// With ANSI colours.
    Ansi,
}

/// What a piece of text is to look like where there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Bold.
    Bold,
    /// Faint: what is there for orientation.
    Dim,
    /// What goes, and what failed.
    Red,
    /// What comes, and what is well.
    Green,
    /// What changes, and warnings.
    Yellow,
    /// What is read or run.
    Cyan,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

impl Style {
    /// The text in this ink, or as it is where there is no colour. The text has to be free of line ends.
    #[must_use]
    pub fn paint(self, ink: Ink, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\u{1b}[{}m{text}\u{1b}[0m", ink.code()),
        }
    }

    /// The text in bold.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.paint(Ink::Bold, text)
    }
}
