//! Reading Rust source far enough for the rules: no syntax tree, but comments, strings and tests are told from code.
//!
//! rustfmt has formatted what is read here (`make lint` checks it), so that indentation can be trusted.

use std::ops::Range;

/// A source file, ready to be asked.
pub(crate) struct Source {
    /// Its path from the repository's root, with `/`.
    pub(crate) path: String,
    /// As it is on the disk.
    pub(crate) text: String,
    /// Of the same length, with comments and the insides of strings blanked.
    pub(crate) code: String,
    /// [`Self::code`] with everything under `#[cfg(test)]` blanked as well.
    pub(crate) production: String,
}

/// A path such as `crate::plan::Step`, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From the line of `fn` to that of the closing brace, both counted.
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank_comments_and_strings(text);
        let production = blank(&code, &test_items(&code));
        Self { path: path.to_owned(), text: text.to_owned(), code, production }
    }

    /// The whole file is a test: it has no production code.
    pub(crate) fn make_test(&mut self) {
        self.production = blank(&self.code, std::slice::from_ref(&(0..self.code.len())));
    }

    /// The files that this one declares as tests (`#[cfg(test)] mod NAME;`), each as a file and as a folder.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder,
            _ => self.path.strip_suffix(".rs").unwrap_or(&self.path),
        };
        let items = test_items(&self.code).into_iter().map(|range| self.code[range].trim_end());
        let names = items.filter_map(|item| item.strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name.trim()));
        names.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/")]).collect()
    }

    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }

    /// The lines that are not tests; comments and blank lines count, as they are read too.
    pub(crate) fn production_lines(&self) -> usize {
        let tests: usize = if self.production.trim().is_empty() && !self.code.trim().is_empty() {
            self.text.lines().count()
        } else {
            test_items(&self.code).iter().map(|r| self.code[r.clone()].lines().count()).sum()
        };
        self.text.lines().count().saturating_sub(tests)
    }

    /// The names of the modules that this file is, from the crate's root: `src/plan/step.rs` is `plan`, `step`.
    pub(crate) fn module(&self) -> Vec<String> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inside = inside.strip_suffix(".rs").unwrap_or(inside);
        let mut names: Vec<String> = inside.split('/').map(str::to_owned).collect();
        if matches!(names.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            names.pop();
        }
        names
    }

    /// All paths of two segments or more in what is not a test, groups taken apart; `super::` and `crate::` are
    /// resolved so that paths inside this crate all begin with `crate`.
    pub(crate) fn paths(&self) -> Vec<PathUse> {
        let module = self.module();
        let mut found = Vec::new();
        let bytes = self.production.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if !is_name_start(bytes[at]) || (at > 0 && is_name(bytes[at - 1])) {
                at += 1;
                continue;
            }
            let end = end_of_name(bytes, at);
            let next = skip_space(bytes, end);
            if !bytes[next..].starts_with(b"::") || continues_a_path(bytes, at) {
                at = end;
                continue;
            }
            at = self.read_tree(at, &[], &mut found).max(end);
        }
        for path in &mut found {
            resolve(&mut path.segments, &module);
        }
        found
    }

    /// Reads one path from `at`, with the groups at its end, and returns where it ends.
    fn read_tree(&self, mut at: usize, prefix: &[String], found: &mut Vec<PathUse>) -> usize {
        let bytes = self.production.as_bytes();
        let mut segments = prefix.to_vec();
        let start = at;
        loop {
            if at < bytes.len() && is_name_start(bytes[at]) {
                let end = end_of_name(bytes, at);
                let name = &self.production[at..end];
                if name != "self" || segments.is_empty() {
                    segments.push(name.to_owned());
                }
                at = end;
            } else if at < bytes.len() && bytes[at] == b'*' {
                segments.push("*".to_owned());
                at += 1;
            } else if at < bytes.len() && bytes[at] == b'{' {
                return self.read_group(at + 1, &segments, found);
            } else {
                break;
            }
            let next = skip_space(bytes, at);
            if !bytes[next..].starts_with(b"::") {
                break;
            }
            at = skip_space(bytes, next + 2);
        }
        found.push(PathUse { segments, line: self.line_of(start) });
        at
    }

    fn read_group(&self, mut at: usize, prefix: &[String], found: &mut Vec<PathUse>) -> usize {
        let bytes = self.production.as_bytes();
        loop {
            at = skip_space(bytes, at);
            match bytes.get(at) {
                None => return at,
                Some(b'}') => return at + 1,
                Some(b',') => at += 1,
                Some(_) => {
                    at = self.read_tree(at, prefix, found);
                    // What may follow is `as NAME`: it is of no interest.
                    while at < bytes.len() && !matches!(bytes[at], b',' | b'}') {
                        at += 1;
                    }
                }
            }
        }
    }

    /// The functions with a body in what is not a test.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.production.lines().map(str::trim_end).collect();
        let mut found = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = &line[..line.len() - line.trim_start().len()];
            let Some(opened) = lines[index..].iter().position(|l| l.ends_with(['{', '}', ';'])) else { continue };
            if !lines[index + opened].ends_with('{') {
                continue;
            }
            let closing = format!("{indent}}}");
            let Some(body) = lines[index + opened + 1..].iter().position(|l| *l == closing) else { continue };
            found.push(Function { name, line: index + 1, lines: opened + body + 2 });
        }
        found
    }
}

/// Makes a path inside this crate begin with `crate`, whether it was written with `crate`, `self` or `super`.
fn resolve(segments: &mut Vec<String>, module: &[String]) {
    let ups = segments.iter().take_while(|s| *s == "super").count();
    if ups > 0 || segments[0] == "self" {
        let own = if ups == 0 { 1 } else { ups };
        let base = &module[..module.len().saturating_sub(ups)];
        let rest = segments.split_off(own);
        *segments = std::iter::once("crate".to_owned()).chain(base.iter().cloned()).chain(rest).collect();
    }
}

fn function_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    loop {
        let (word, tail) = rest.split_once([' ', '('])?;
        match word {
            "fn" => {
                let end = tail.find(|c: char| !c.is_alphanumeric() && c != '_')?;
                return Some(tail[..end].to_owned());
            }
            "pub" if rest.starts_with("pub(") => rest = tail.split_once(") ")?.1,
            "pub" | "const" | "async" | "extern" | "default" | "\"" => rest = tail,
            _ => return None,
        }
    }
}

/// Where the items under `#[cfg(test)]` stand.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for marker in ["#[cfg(test)]", "#[cfg(all(test"] {
        for (start, _) in code.match_indices(marker) {
            if items.iter().all(|r| !r.contains(&start)) {
                items.push(start..end_of_item(code, start + marker.len()));
            }
        }
    }
    items
}

/// The end of the item that begins after `at`: its closing brace, or its semicolon where it has no braces.
fn end_of_item(code: &str, at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return offset + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return offset + 1,
            _ => {}
        }
    }
    code.len()
}

fn blank(code: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for range in ranges {
        blank_bytes(&mut bytes, range.clone());
    }
    String::from_utf8(bytes).expect("invariant: what was blanked was ASCII or blanked whole")
}

fn blank_bytes(bytes: &mut [u8], range: Range<usize>) {
    for byte in &mut bytes[range] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn blank_comments_and_strings(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let after_name = at > 0 && is_name(bytes[at - 1]);
        if rest.starts_with(b"//") {
            let end = at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            blank_bytes(&mut out, at..end);
            at = end;
        } else if rest.starts_with(b"/*") {
            let end = end_of_block_comment(bytes, at);
            blank_bytes(&mut out, at..end);
            at = end;
        } else if let Some(hashes) = raw_string_hashes(rest).filter(|_| !after_name) {
            let open = at + rest.iter().position(|b| *b == b'"').unwrap_or(0) + 1;
            let closing = format!("\"{}", "#".repeat(hashes));
            let end = text[open..].find(&closing).map_or(bytes.len(), |n| open + n);
            blank_bytes(&mut out, open..end);
            at = (end + closing.len()).min(bytes.len());
        } else if rest[0] == b'"' {
            let end = end_of_string(bytes, at + 1);
            blank_bytes(&mut out, at + 1..end);
            at = end + 1;
        } else if let Some(length) = char_literal(&text[at..]) {
            blank_bytes(&mut out, at..at + length);
            at += length;
        } else {
            // A whole character, so that `at` always stands at one.
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    String::from_utf8(out).expect("invariant: only whole characters were blanked")
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if bytes[at..].starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The offset of the closing quote.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// How many `#` a raw string that begins here has.
fn raw_string_hashes(rest: &[u8]) -> Option<usize> {
    let ([b'r', after @ ..] | [b'b' | b'c', b'r', after @ ..]) = rest else { return None };
    let hashes = after.iter().take_while(|b| **b == b'#').count();
    (after.get(hashes) == Some(&b'"')).then_some(hashes)
}

/// The length of a character literal that begins here; `None` for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escaped) = inside.strip_prefix('\\') {
        let mut chars = escaped.char_indices();
        chars.next();
        return chars.find(|(_, c)| *c == '\'').map(|(n, _)| n + 3);
    }
    let first = inside.chars().next()?;
    inside[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

/// Whether the name at `at` goes on a path or is a field, a method or a macro variable, so that no path begins here.
fn continues_a_path(bytes: &[u8], at: usize) -> bool {
    let before = bytes[..at].iter().rposition(|b| !b.is_ascii_whitespace());
    match before.map(|i| (bytes[i], i)) {
        Some((b'.', _)) => true,
        Some((b':', i)) if i > 0 && bytes[i - 1] == b':' => i > 1 && (is_name(bytes[i - 2]) || bytes[i - 2] == b'>'),
        _ => false,
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn end_of_name(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|b| is_name(**b)).count()
}

fn skip_space(bytes: &[u8], at: usize) -> usize {
    at + bytes[at.min(bytes.len())..].iter().take_while(|b| b.is_ascii_whitespace()).count()
}
