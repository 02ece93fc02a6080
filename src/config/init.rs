//! The small project that `gantry init` writes: it applies at once, and shows what an environment is made of.

use hcl::expr::{Expression, Traversal, TraversalOperator, Variable};
use hcl::{Block, Body, Identifier};

use crate::diag::FileId;

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

/// The body as text, in the canonical format. Writing to memory cannot fail, and what is written here is valid.
fn text(body: &Body) -> String {
    let plain = hcl::format::to_string(body).expect("invariant: a body made of valid parts can be written");
    super::format(&plain, FileId(0)).expect("invariant: what was just written parses")
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
