//! The words of the command line before clap sees them.

use clap::Command;

/// `-auto-approve` becomes `--auto-approve`: a word of one dash and several letters that is the name of a long option of some
/// command. What stands behind `--` stays, and so do values of options.
#[must_use]
pub(super) fn with_two_dashes(words: Vec<String>, command: &Command) -> Vec<String> {
    let mut long = Vec::new();
    gather(command, &mut long);
    let mut behind = false;
    words
        .into_iter()
        .map(|word| {
            behind |= word == "--";
            let single = word.strip_prefix('-').filter(|rest| !behind && rest.len() > 1 && !rest.starts_with('-'));
            let name = single.map(|rest| rest.split('=').next().unwrap_or(rest));
            if name.is_some_and(|n| long.iter().any(|l| l == n)) { format!("-{word}") } else { word }
        })
        .collect()
}

fn gather(command: &Command, long: &mut Vec<String>) {
    long.extend(command.get_arguments().filter_map(|a| a.get_long().map(str::to_owned)));
    command.get_subcommands().for_each(|c| gather(c, long));
}

/// The command line as whoever waits for this command may see it: without the values of variables, which may be secrets.
#[must_use]
pub(super) fn shown(words: &[String]) -> String {
    let mut given = false;
    let shown = words.iter().map(|word| {
        let value = given;
        given = word == "--var";
        match word.strip_prefix("--var=").or(value.then_some(word)) {
            Some(variable) => {
                let name = variable.split('=').next().unwrap_or_default();
                if value { format!("{name}=…") } else { format!("--var={name}=…") }
            }
            None => word.clone(),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    #[test]
    fn values_of_variables_are_not_shown() {
        let words: Vec<String> =
            ["apply", "--var", "a=s3cret=x", "--var=b=s3cret", "e", "--var-file", "f"].map(str::to_owned).into();
        assert_eq!(shown(&words), "apply --var a=… --var=b=… e --var-file f");
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        let command = Command::new("gantry").subcommand(Command::new("apply").arg(Arg::new("a").long("auto-approve")));
        let words = |all: &[&str]| all.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let given = words(&["apply", "-auto-approve", "-x", "-C", "--", "-auto-approve"]);
        assert_eq!(
            with_two_dashes(given, &command),
            words(&["apply", "--auto-approve", "-x", "-C", "--", "-auto-approve"])
        );
    }
}
