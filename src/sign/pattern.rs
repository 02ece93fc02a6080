//! OpenSSH's patterns (ssh_config(5), PATTERNS): `*` is any text, `?` any one character, a list is separated by commas, and
//! `!` in front takes out again.

/// Whether a pattern matches a text.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    overlap_with(pattern.as_bytes(), text.as_bytes(), |_| false)
}

/// Whether a list of patterns matches a text: one does, and none that takes out.
#[must_use]
pub fn list_matches(list: &str, text: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(taken_out) if matches(taken_out, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

/// Whether there is a text that both patterns match.
#[must_use]
pub fn overlap(one: &str, other: &str) -> bool {
    // Most are no patterns at all.
    if !one.contains(['*', '?']) && !other.contains(['*', '?']) {
        return one == other;
    }
    overlap_with(one.as_bytes(), other.as_bytes(), |byte| matches!(byte, b'*' | b'?'))
}

/// Whether both match some text; `wild` says which bytes of the second stand for others. A table over both, so that no pattern
/// takes long.
fn overlap_with(one: &[u8], other: &[u8], wild: impl Fn(u8) -> bool) -> bool {
    let star = |byte: u8| byte == b'*';
    let other_star = |byte: u8| star(byte) && wild(byte);
    // `row[j]`: whether what is left of `one` and of `other` from `j` on have a text in common.
    let mut row = vec![false; other.len() + 1];
    row[other.len()] = true;
    for j in (0..other.len()).rev() {
        row[j] = other_star(other[j]) && row[j + 1];
    }
    for i in (0..one.len()).rev() {
        let mut next = vec![false; other.len() + 1];
        next[other.len()] = star(one[i]) && row[other.len()];
        for j in (0..other.len()).rev() {
            let same = one[i] == other[j] || one[i] == b'?' || (other[j] == b'?' && wild(other[j]));
            next[j] = match (star(one[i]), other_star(other[j])) {
                (true, _) | (_, true) => row[j] || next[j + 1],
                (false, false) => same && row[j + 1],
            };
        }
        row = next;
    }
    row[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_openssh_s() {
        for (pattern, text, expected) in [
            ("alice@example.com", "alice@example.com", true),
            ("alice@example.com", "alice@example.org", false),
            ("*@example.com", "alice@example.com", true),
            ("*@example.com", "@example.com", true),
            ("a?ice", "alice", true),
            ("a?ice", "aice", false),
            ("*", "", true),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdf", false),
            // What stands in a text stands for itself.
            ("alice", "*", false),
            ("al?ce", "al*ce", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(list_matches("!bob@x,*@x", "alice@x"));
        assert!(!list_matches("!bob@x,*@x", "bob@x"));
        assert!(!list_matches("!bob@x", "alice@x"), "nothing but a negation matches nothing");
        assert!(list_matches("file,gantry", "gantry"));
    }

    #[test]
    fn patterns_overlap_where_some_text_matches_both() {
        for (one, other, expected) in [
            ("*@a.com", "al*", true),
            ("*@a.com", "*@b.com", false),
            ("alice", "a?ice", true),
            ("alice", "bob", false),
            ("*", "?", true),
            ("a*", "*b", true),
            ("?", "??", false),
            ("", "*", true),
            ("", "?", false),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }
}
