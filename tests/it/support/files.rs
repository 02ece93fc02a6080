//! What stands in a directory.

use std::path::Path;

/// Every file below a directory, relative, with its bytes.
pub(crate) fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut all, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it is readable") {
            let path = entry.expect("it is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("the walk stays inside").display().to_string();
                all.push((name, std::fs::read(&path).expect("it is readable")));
            }
        }
    }
    all.sort();
    all
}
