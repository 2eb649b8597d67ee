//! Checks the number of dependencies in `docs/dependencies.md`. A new dependency is a decision with a reason there.

use std::path::Path;

#[test]
fn the_page_on_dependencies_has_their_number() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let packages = lock.lines().filter(|line| line.starts_with("source = \"registry+")).count();
    let page = std::fs::read_to_string(root.join("docs/dependencies.md")).unwrap();
    let sentence = format!("`Cargo.lock` has {packages} packages of others.");
    assert!(page.contains(&sentence), "docs/dependencies.md lacks the sentence: {sentence}");
}
