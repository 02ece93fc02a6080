//! Names of files as a bundle has them: relative to the environment's directory, with `/`, without `.` and without a `..`
//! that could be left out. Nothing here looks at a disk, so links are not followed.

/// The one form of a name. `"./a/../b"` is `"b"`, `""` is `"."`, an absolute one stays absolute.
#[must_use]
pub fn normalise(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

/// `name` as seen from `directory`, in its one form.
#[must_use]
pub(super) fn join(directory: &str, name: &str) -> String {
    if name.starts_with('/') { normalise(name) } else { normalise(&format!("{directory}/{name}")) }
}

/// A name, as seen from `directory`, that is `path` as seen from where `directory` is named from.
#[must_use]
pub(super) fn relative(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return normalise(path);
    }
    let (from, to) = (normalise(directory), normalise(path));
    let parts = |path: &str| -> Vec<String> { path.split('/').filter(|p| *p != ".").map(str::to_owned).collect() };
    let (from, to) = (parts(&from), parts(&to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - shared);
    let down = to[shared..].iter().map(String::as_str);
    normalise(&up.chain(down).collect::<Vec<_>>().join("/"))
}

/// Whether a normalised name stands in the environment's own directory.
#[must_use]
pub fn is_own(path: &str) -> bool {
    !path.starts_with('/') && path != ".." && !path.starts_with("../")
}

/// Whether a file of this name in a module's directory is configuration. `.tf.json` counts, so that it can be refused with a
/// sentence; hidden files, editors' backups, files of variable values, tests, and the project's own `gantry.hcl` do not.
#[must_use]
pub(super) fn is_configuration(name: &str) -> bool {
    let backup = name.starts_with(['.', '#']) || name.ends_with('~');
    let other = ["gantryvars.hcl", ".tftest.hcl", ".tofutest.hcl", ".pkr.hcl"].iter().any(|end| name.ends_with(end));
    let ours = [".hcl", ".tf", ".tf.json"].iter().any(|end| name.ends_with(end));
    ours && !backup && !other && name != "gantry.hcl"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_form() {
        for (path, form) in [
            ("", "."),
            (".", "."),
            ("./a/../b", "b"),
            ("../../modules//web/", "../../modules/web"),
            ("a/../../b", "../b"),
            ("/a/../../b", "/b"),
            ("/", "/"),
        ] {
            assert_eq!(normalise(path), form, "{path:?}");
            assert_eq!(normalise(form), form);
        }
        assert_eq!(join("../../modules/web", "../db"), "../../modules/db");
        assert_eq!(join("a", "/b"), "/b");
    }

    #[test]
    fn a_name_is_seen_from_another_directory() {
        for (directory, path, seen) in [
            ("environments/production", "modules/web/main.hcl", "../../modules/web/main.hcl"),
            ("environments/production", "environments/staging/main.hcl", "../staging/main.hcl"),
            ("environments/production", "environments/production/main.hcl", "main.hcl"),
            ("environments/production", "environments/production", "."),
            ("environments/production", "../other/x", "../../../other/x"),
            (".", "modules/x", "modules/x"),
            ("a", "/b/../c", "/c"),
        ] {
            assert_eq!(relative(directory, path), seen, "{path} from {directory}");
            assert_eq!(join(directory, &relative(directory, path)), normalise(path));
        }
    }
}
