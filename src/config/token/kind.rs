//! What a token is.

use std::ops::Range;

/// A piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Token {
    /// What it is.
    pub(in crate::config) kind: Kind,
    /// First byte.
    pub(in crate::config) start: u32,
    /// The byte behind the last one.
    pub(in crate::config) end: u32,
}

impl Token {
    /// Its bytes in the text.
    pub(in crate::config) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Its text.
    pub(in crate::config) fn text(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or("")
    }
}

/// What kinds of token there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    /// `{`
    OpenBrace,
    /// `}`
    CloseBrace,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `(`
    OpenParen,
    /// `)`
    CloseParen,
    /// `"` that starts a quoted template
    OpenQuote,
    /// `"` that ends one
    CloseQuote,
    /// `<<MARKER` or `<<-MARKER` with its line end
    OpenHeredoc,
    /// The line of the closing marker, with its indentation and without its line end
    CloseHeredoc,
    /// `${` or `${~`
    OpenInterpolation,
    /// `%{` or `%{~`
    OpenDirective,
    /// `}` or `~}` that ends one of the two
    CloseTemplate,
    /// Text in a quoted template, escapes as written
    QuotedText,
    /// Text in a heredoc, at most to the end of a line, or in a bare template
    Text,
    /// A line break inside a quoted template, which may not be there
    QuotedNewline,
    /// The end of a line on which a quoted template was not closed, and is not closed on a later one either: empty
    UnclosedQuote,
    /// A number: a digit and what can belong to it, so perhaps no good number
    Number,
    /// A name, keywords among them
    Identifier,
    /// `# …` or `// …` with its line end, or `/* … */`
    Comment,
    /// A line end
    Newline,
    /// `=`
    Assign,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `!`
    Not,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `%`
    Percent,
    /// `.`
    Dot,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// `::`
    DoubleColon,
    /// `...`
    Ellipsis,
    /// `=>`
    FatArrow,
    /// `?`
    Question,
    /// `/*` without its end; takes in the rest of the text
    UnclosedComment,
    /// One character that is not used in HCL, be it `&`, `;`, a single quote or a curly one
    Stray,
    /// The end of the text; always the last token, and empty
    End,
}
