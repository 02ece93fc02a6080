//! The small project that `gantry init` writes: it applies at once, and shows what an environment is made of.

use hcl::expr::{Expression, Traversal, TraversalOperator, Variable};
use hcl::{Block, Body, Identifier};

const HEADER: &str = "\
# An environment: one thing that is planned and applied. Try
#
#   gantry plan NAME
#   gantry apply NAME
#
# then change the greeting and do it again.

";

/// Paths, relative to the project's directory, and texts of the files.
#[must_use]
pub fn init_files(name: &str) -> Vec<(String, String)> {
    let header = HEADER.replace("NAME", name);
    vec![
        (format!("environments/{name}/main.hcl"), format!("{header}{}", text(&environment(name)))),
        (".gitignore".into(), "# What Gantry and the example write.\n/state/\n/build/\n".into()),
    ]
}

/// The body as text, its equals signs in line. Writing to memory cannot fail, and what is written here is valid.
fn text(body: &Body) -> String {
    let plain = hcl::format::to_string(body).expect("invariant: a body made of valid parts can be written");
    let lines: Vec<&str> = plain.lines().collect();
    let groups = lines.chunk_by(|a, b| name_of(a).is_some() && name_of(b).is_some());
    let mut out = String::new();
    for group in groups {
        let width = group.iter().filter_map(|line| name_of(line)).map(str::len).max().unwrap_or(0);
        for line in group {
            match line.split_once(" = ").filter(|_| name_of(line).is_some()) {
                Some((name, value)) => out.push_str(&format!("{name:width$} = {value}\n")),
                None => out.push_str(&format!("{line}\n")),
            }
        }
    }
    out
}

/// What stands before the equals sign of an argument's line.
fn name_of(line: &str) -> Option<&str> {
    line.split_once(" = ").map(|(name, _)| name)
}

fn environment(name: &str) -> Body {
    let variable = Block::builder("variable")
        .add_label("greeting")
        .add_attribute(("type", word("string")))
        .add_attribute(("description", "What the file says."))
        .add_attribute(("default", "Hello"))
        .build();
    let file = Block::builder("resource")
        .add_labels(["local_file", "greeting"])
        .add_attribute(("filename", template("${path.project}/build/greeting.txt")))
        .add_attribute(("content", template(&format!("${{var.greeting}} from {name}!\n"))))
        .build();
    let release = Block::builder("resource")
        .add_labels(["terraform_data", "release"])
        .add_attribute(("input", reference("local_file", &["greeting", "content"])))
        .build();
    let output = Block::builder("output")
        .add_label("file")
        .add_attribute(("description", "Where the greeting stands."))
        .add_attribute(("value", reference("local_file", &["greeting", "filename"])))
        .build();
    [variable, file, release, output].into_iter().collect()
}

fn word(name: &str) -> Expression {
    Expression::Variable(Variable::unchecked(name))
}

fn reference(root: &str, names: &[&str]) -> Expression {
    let steps = names.iter().map(|name| TraversalOperator::GetAttr(Identifier::unchecked(*name)));
    Expression::from(Traversal::new(word(root), steps))
}

fn template(text: &str) -> Expression {
    let escaped = text.replace('\n', "\\n");
    Expression::TemplateExpr(Box::new(hcl::expr::TemplateExpr::QuotedString(escaped)))
}
