//! Calls of providers' functions: a module names the provider first, as in Terraform.

use crate::config::desired::Module;
use crate::diag::{Diagnostic, did_you_mean};
use crate::eval::{Term, TermKind, functions};

/// What is wrong with the calls of providers' functions in a term of a module.
pub fn check_calls(module: &Module, term: &Term) -> Vec<Diagnostic> {
    let mut wrong: Vec<Diagnostic> = check(module, term).into_iter().collect();
    term.children(true, &mut |inner| wrong.extend(check_calls(module, inner)));
    wrong
}

/// What is wrong with a term that is a call of a provider's function.
pub(super) fn check(module: &Module, term: &Term) -> Option<Diagnostic> {
    let TermKind::Call { name, name_span, .. } = &term.kind else { return None };
    refused(module, name).map(|diagnostic| diagnostic.at(*name_span))
}

fn refused(module: &Module, name: &str) -> Option<Diagnostic> {
    let (called, function) = name.strip_prefix("provider::")?.split_once("::")?;
    let refuse = |detail: String| Some(Diagnostic::error("Unknown provider function", detail));
    let required = module.required_providers.get(called);
    match (functions::provided(name), required) {
        (Some((_, provider)), Some(required)) if **required == *provider => None,
        (found, None) => {
            let detail = format!(
                "There is no function named \"{name}\". Ensure that provider name \"{called}\" is declared in this module's \
                 required_providers block, and that this provider offers a function named \"{function}\"."
            );
            let hint = match found {
                Some((_, "terraform")) => format!(
                    "Write terraform {{ required_providers {{ {called} = {{ source = \"terraform.io/builtin/terraform\" }} }} }}."
                ),
                Some((_, provider)) => format!(
                    "Write terraform {{ required_providers {{ {called} = {{ source = \"hashicorp/{provider}\" }} }} }}, or call \
                     {function}() without the prefix."
                ),
                None => return refuse(detail),
            };
            refuse(detail).map(|d| d.hint(hint))
        }
        (_, Some(_)) => {
            let known = functions::names().filter_map(|n| n.rsplit_once("::")).map(|(_, name)| name);
            let detail = format!("The function \"{function}\" is not available from the provider \"{called}\".");
            refuse(detail).map(|d| d.hint_opt(did_you_mean(function, known)))
        }
    }
}
