//! Expressions, types and values drawn from a row of random bytes: the same bytes draw the same, so that a failure shrinks.

use std::sync::Arc;

use gantry::value::{Map, Number, Type, Value};

/// The variables that expressions speak of.
pub(super) const VARIABLES: [&str; 11] = ["s", "n", "b", "l", "ln", "lo", "st", "m", "o", "t", "p"];

/// The type that a variable's values have.
pub(super) fn type_of(name: &str) -> Type {
    match name {
        "n" => Type::Number,
        "b" => Type::Bool,
        "l" => Type::list(Type::String),
        "ln" => Type::list(Type::Number),
        "lo" => Type::list(Type::object([("a", Type::String), ("b", Type::Number)])),
        "st" => Type::set(Type::String),
        "m" => Type::map(Type::String),
        "o" => Type::object([("a", Type::String), ("b", Type::Number), ("c", Type::list(Type::String))]),
        "t" => Type::Tuple([Type::String, Type::Number, Type::Bool].into()),
        _ => Type::String,
    }
}

/// A value of a type; at a depth below the top it may be null.
pub(super) fn value_of(tape: &mut Tape<'_>, ty: &Type, depth: usize) -> Value {
    const TEXTS: [&str; 10] = ["", "a", "b", "pre-x", "pre-", "1", "2.5", "true", "é", "x,y"];
    if tape.one_in(12) {
        return Value::null(ty.clone());
    }
    let items = |tape: &mut Tape<'_>, t: &Type| -> Vec<Value> {
        let count = if depth == 0 { 0 } else { tape.pick(4) };
        (0..count).map(|_| value_of(tape, t, depth.saturating_sub(1))).collect()
    };
    match ty {
        Type::Bool => Value::bool(tape.one_in(2)),
        Type::Number => {
            let number: Number = ["0", "1", "2", "-1", "0.5", "100"][tape.pick(6)].parse().expect("a number");
            Value::number(number)
        }
        Type::Any | Type::String => Value::string(TEXTS[tape.pick(TEXTS.len())]),
        Type::List(t) => Value::list((**t).clone(), items(tape, t)),
        Type::Set(t) => Value::set((**t).clone(), items(tape, t)),
        Type::Map(t) => {
            let all = items(tape, t);
            let map: Map = ["a", "b", "c"].iter().zip(all).map(|(k, v)| (Arc::from(*k), v)).collect();
            Value::map((**t).clone(), map)
        }
        Type::Tuple(all) => Value::tuple(all.iter().map(|t| value_of(tape, t, depth)).collect::<Vec<_>>()),
        Type::Object(all) => {
            Value::object(all.iter().map(|(n, a)| (n.clone(), value_of(tape, &a.ty, depth))).collect())
        }
    }
}

/// A row of bytes that choices are read from; when it has ended, every choice is the first.
pub(super) struct Tape<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Names that `for` expressions have bound around here.
    bound: Vec<&'static str>,
    with_try: bool,
    wild: bool,
}

impl<'b> Tape<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, bound: Vec::new(), with_try: true, wild: false }
    }

    /// From here on no `try` and no `can`.
    pub(super) fn without_try(&mut self) {
        self.with_try = false;
    }

    /// From here on types do not matter.
    pub(super) fn wild(&mut self) {
        self.wild = true;
    }

    /// A number below `count`.
    pub(super) fn pick(&mut self, count: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % count
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.pick(count) == count - 1
    }

    /// A type.
    pub(super) fn ty(&mut self, depth: usize) -> Type {
        let leaf = [Type::String, Type::Number, Type::Bool, Type::Any];
        if depth == 0 {
            return leaf[self.pick(leaf.len())].clone();
        }
        match self.pick(10) {
            n @ 0..=3 => leaf[n].clone(),
            4 => Type::list(self.ty(depth - 1)),
            5 => Type::set(self.ty(depth - 1)),
            6 => Type::map(self.ty(depth - 1)),
            7 => Type::Tuple((0..self.pick(3)).map(|_| self.ty(depth - 1)).collect()),
            _ => Type::object(["a", "b", "c"].into_iter().take(self.pick(4)).map(|n| (n, self.ty(depth - 1)))),
        }
    }

    fn leaf(&mut self, choices: &[&str]) -> String {
        choices[self.pick(choices.len())].to_owned()
    }

    /// Now and then something of another type.
    fn strays(&mut self) -> bool {
        if self.wild { self.one_in(2) } else { self.one_in(24) }
    }

    /// Any expression.
    pub(super) fn any(&mut self, depth: usize) -> String {
        match self.pick(6) {
            0 => self.string(depth),
            1 => self.number(depth),
            2 => self.boolean(depth),
            3 => self.sequence(depth),
            4 => self.mapping(depth),
            _ => match self.pick(4) {
                0 => "null".into(),
                1 if self.with_try => format!("try({}, {})", self.string(depth.saturating_sub(1)), self.any(0)),
                _ => self.conditional(depth, Self::any),
            },
        }
    }

    fn conditional(&mut self, depth: usize, of: fn(&mut Self, usize) -> String) -> String {
        if depth == 0 {
            return of(self, 0);
        }
        format!("({} ? {} : {})", self.boolean(depth - 1), of(self, depth - 1), of(self, depth - 1))
    }

    fn bound(&mut self) -> Option<String> {
        let count = self.bound.len();
        if count == 0 || !self.one_in(2) {
            return None;
        }
        let which = self.pick(count);
        Some(self.bound[which].to_owned())
    }

    fn string(&mut self, depth: usize) -> String {
        if let Some(name) = self.bound() {
            return name;
        }
        if depth == 0 {
            return self.leaf(&["s", "p", "\"a\"", "\"pre-${s}\"", "o.a", "\"\"", "l[0]", "m.a", "t[0]", "m[\"b\"]"]);
        }
        if self.strays() {
            return self.any(depth - 1);
        }
        let d = depth - 1;
        match self.pick(17) {
            0 | 1 => self.string(0),
            2 => format!("\"{}${{{}}}\"", ["", "x", "pre-"][self.pick(3)], self.string(d)),
            3 => format!("\"a-${{{}}}-${{{}}}\"", self.string(d), self.number(d)),
            4 => self.conditional(depth, Self::string),
            5 => format!("{}[{}]", self.sequence(d), self.number(d)),
            6 => format!("{}[{}]", self.mapping(d), self.string(d)),
            7 => format!("upper({})", self.string(d)),
            8 => format!("join(\",\", {})", self.sequence(d)),
            9 => format!("coalesce({}, {})", self.string(d), self.string(d)),
            10 => format!("tostring({})", self.number(d)),
            11 => format!(
                "\"x%{{ if {} }}{}${{{}}}%{{ else }}c%{{ endif }}\"",
                self.boolean(d),
                ["", "y"][self.pick(2)],
                self.string(d)
            ),
            12 => format!("\"%{{ for x in {} }}${{x}};%{{ endfor }}\"", self.sequence(d)),
            13 => format!("format(\"f-%s\", {})", self.string(d)),
            14 => format!("jsonencode({})", self.any(d)),
            15 => format!("lookup({}, {}, \"z\")", self.mapping(d), self.string(d)),
            _ => format!("one([for x in {} : x if x == {}])", self.sequence(d), self.string(d)),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf(&["n", "0", "1", "2", "o.b", "ln[0]", "t[1]", "-1", "length(l)"]);
        }
        if self.strays() {
            return self.any(depth - 1);
        }
        let d = depth - 1;
        match self.pick(9) {
            0 => self.number(0),
            1 => format!("({} {} {})", self.number(d), ["+", "-", "*"][self.pick(3)], self.number(d)),
            2 => format!("({} {} 2)", self.number(d), ["/", "%"][self.pick(2)]),
            3 => format!("length({})", if self.one_in(2) { self.sequence(d) } else { self.mapping(d) }),
            4 => format!("(-{})", self.number(d)),
            5 => format!("abs({})", self.number(d)),
            6 => format!("max({}, {})", self.number(d), self.number(d)),
            7 => format!("length({})", self.string(d)),
            _ => self.conditional(depth, Self::number),
        }
    }

    fn boolean(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf(&["b", "true", "false", "t[2]", "s == \"a\"", "n > 0"]);
        }
        if self.strays() {
            return self.any(depth - 1);
        }
        let d = depth - 1;
        match self.pick(14) {
            0 => self.boolean(0),
            1 => format!("({} == {})", self.string(d), self.string(d)),
            2 => format!("({} {} {})", self.any(d), ["==", "!="][self.pick(2)], self.any(d)),
            3 => {
                format!("({} {} {})", self.number(d), ["<", "<=", ">", ">="][self.pick(4)], self.number(d))
            }
            4 => format!("({} {} {})", self.boolean(d), ["&&", "||"][self.pick(2)], self.boolean(d)),
            5 => format!("!({})", self.boolean(d)),
            6 => format!("contains({}, {})", self.sequence(d), self.string(d)),
            7 => format!("startswith({}, {})", self.string(d), ["\"\"", "\"pre\"", "\"x\"", "\"a-\""][self.pick(4)]),
            8 => format!("({} == null)", self.any(d)),
            9 => format!("{}([{}, {}])", ["alltrue", "anytrue"][self.pick(2)], self.boolean(d), self.boolean(d)),
            10 if self.with_try => format!("can({})", self.any(d)),
            11 => format!("({} == {})", self.sequence(d), self.sequence(d)),
            12 => format!("({} == {})", self.mapping(d), self.mapping(d)),
            _ => self.conditional(depth, Self::boolean),
        }
    }

    fn bind(&mut self, names: &[&'static str], of: fn(&mut Self, usize) -> String, depth: usize) -> String {
        let before = self.bound.len();
        self.bound.extend(names);
        let made = of(self, depth);
        self.bound.truncate(before);
        made
    }

    fn sequence(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf(&["l", "ln", "st", "t", "[]", "[s, \"a\"]", "[s, p, n]", "o.c", "lo[*].a", "[null, s]"]);
        }
        if self.strays() {
            return self.any(depth - 1);
        }
        let d = depth - 1;
        let of = [Self::string, Self::number][self.pick(2)];
        match self.pick(21) {
            0 => self.sequence(0),
            1 => format!("[{}, {}]", of(self, d), of(self, d)),
            2 => format!("{}[*]", self.sequence(d)),
            3 => format!("{}[*]", self.any(d)),
            4 => format!("[for x in {} : {}]", self.sequence(d), self.bind(&["x"], of, d)),
            5 => format!("[for x in {} : x if {}]", self.sequence(d), self.bind(&["x"], Self::boolean, d)),
            6 => format!("[for k, v in {} : {}]", self.mapping(d), self.bind(&["k", "v"], Self::string, d)),
            7 => format!("tolist({})", self.sequence(d)),
            8 => format!("toset({})", self.sequence(d)),
            9 => format!("concat({}, {})", self.sequence(d), self.sequence(d)),
            10 => format!("{}({})", ["keys", "values"][self.pick(2)], self.mapping(d)),
            11 => format!("{}({})", ["distinct", "reverse", "sort", "compact"][self.pick(4)], self.sequence(d)),
            12 => format!("split(\",\", {})", self.string(d)),
            13 => format!("setunion({}, {})", self.sequence(d), self.sequence(d)),
            14 => format!("flatten([{}, {}])", self.sequence(d), self.sequence(d)),
            15 => format!("lo[*].{}", ["a", "b"][self.pick(2)]),
            16 => format!("slice({}, 0, {})", self.sequence(d), self.number(0)),
            17 => format!("[{}]", self.any(d)),
            18 => format!("toset([for x in {} : \"${{x}}-a\"])", self.sequence(d)),
            19 => format!("[for x in {} : {}]", self.mapping(d), self.bind(&["x"], Self::any, d)),
            _ => self.conditional(depth, Self::sequence),
        }
    }

    fn mapping(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf(&[
                "m",
                "o",
                "{}",
                "{ a = s, b = n }",
                "{ (s) = 1 }",
                "{ a = p }",
                "lo[0]",
                "{ a = null }",
            ]);
        }
        if self.strays() {
            return self.any(depth - 1);
        }
        let d = depth - 1;
        match self.pick(10) {
            0 => self.mapping(0),
            1 => format!("{{ a = {}, b = {} }}", self.any(d), self.string(d)),
            2 => format!("{{ ({}) = {} }}", self.string(d), self.any(d)),
            3 => format!("{{ for x in {} : x => {} }}", self.sequence(d), self.bind(&["x"], Self::string, d)),
            4 => format!("{{ for x in {} : \"${{x}}\" => x... }}", self.sequence(d)),
            5 => format!(
                "{{ for k, v in {} : k => v if {} }}",
                self.mapping(d),
                self.bind(&["k", "v"], Self::boolean, d)
            ),
            6 => format!("tomap({})", self.mapping(d)),
            7 => format!("merge({}, {})", self.mapping(d), self.mapping(d)),
            8 => format!("zipmap([\"a\", \"b\"], [{}, {}])", self.any(d), self.any(d)),
            _ => self.conditional(depth, Self::mapping),
        }
    }
}
