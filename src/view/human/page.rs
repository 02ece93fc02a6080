//! Lines with a symbol and an indentation, as Terraform lays out a plan: the symbol stands in front of the text, which
//! starts four columns further right on every level.

use crate::view::{Ink, Style};

/// Columns per level.
const INDENT: usize = 4;

/// The symbol in front of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It stays, or belongs to the line above.
    Keep,
    /// It comes.
    Add,
    /// It goes.
    Remove,
    /// It changes.
    Change,
    /// It goes, then comes.
    DeleteFirst,
    /// It comes, then the old one goes.
    CreateFirst,
    /// It is read.
    Read,
    /// It is run.
    Run,
    /// It is let go of.
    Forget,
}

impl Mark {
    /// The symbol.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Keep => "",
            Self::Add => "+",
            Self::Remove => "-",
            Self::Change => "~",
            Self::DeleteFirst => "-/+",
            Self::CreateFirst => "+/-",
            Self::Read => "<=",
            Self::Run => ">",
            Self::Forget => ".",
        }
    }

    fn ink(self) -> Option<Ink> {
        match self {
            Self::Keep => None,
            Self::Add => Some(Ink::Green),
            Self::Remove | Self::DeleteFirst => Some(Ink::Red),
            Self::Change | Self::CreateFirst => Some(Ink::Yellow),
            Self::Read | Self::Run => Some(Ink::Cyan),
            Self::Forget => Some(Ink::Dim),
        }
    }
}

/// Text in the making.
pub(super) struct Page {
    text: String,
    style: Style,
}

impl Page {
    pub(super) fn new(style: Style) -> Self {
        Self { text: String::new(), style }
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// A line at a level with a symbol. `content` must be harmless already and free of line ends.
    pub(super) fn line(&mut self, depth: usize, mark: Mark, content: &str) {
        self.text.extend(std::iter::repeat_n(' ', depth * INDENT));
        let symbol = mark.symbol();
        self.text.extend(std::iter::repeat_n(' ', 3 - symbol.len()));
        match mark.ink() {
            Some(ink) => self.text.push_str(&self.style.paint(ink, symbol)),
            None => self.text.push_str(symbol),
        }
        self.text.push(' ');
        self.text.push_str(content);
        self.end_line();
    }

    /// A comment at a level: for orientation, and where the symbol alone does not say enough.
    pub(super) fn comment(&mut self, depth: usize, words: &str) {
        let words = self.style.paint(Ink::Dim, &format!("# {words}"));
        self.line(depth, Mark::Keep, &words);
    }

    /// A line of prose from the margin.
    pub(super) fn prose(&mut self, line: &str) {
        self.text.push_str(line);
        self.end_line();
    }

    /// A line of prose in bold.
    pub(super) fn heading(&mut self, line: &str) {
        let line = self.style.bold(line);
        self.prose(&line);
    }

    /// An empty line, unless the page is empty or ends in one.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    fn end_line(&mut self) {
        let end = self.text.trim_end_matches(' ').len();
        self.text.truncate(end);
        self.text.push('\n');
    }
}
