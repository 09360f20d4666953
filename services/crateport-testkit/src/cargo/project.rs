//! The project that cargo is run on.

use std::fmt::Write as _;
use std::path::Path;

/// A binary package named `project`.
#[derive(Debug, Clone)]
pub struct Project {
    dependencies: String,
    main: String,
}

impl Default for Project {
    fn default() -> Self {
        Self { dependencies: String::new(), main: "fn main() {}\n".to_owned() }
    }
}

impl Project {
    /// A dependency from crates.io.
    pub fn dep(mut self, name: &str, req: &str) -> Self {
        let _ = writeln!(self.dependencies, "{name} = {req:?}");
        self
    }

    /// A dependency from a registry that [`super::Cargo::registry`] named.
    pub fn dep_from(mut self, registry: &str, name: &str, req: &str) -> Self {
        let _ = writeln!(
            self.dependencies,
            "{name} = {{ version = {req:?}, registry = {registry:?} }}"
        );
        self
    }

    /// A line of the `[dependencies]` table, as it stands.
    pub fn dep_line(mut self, line: &str) -> Self {
        let _ = writeln!(self.dependencies, "{line}");
        self
    }

    /// The text of `src/main.rs`.
    pub fn main(mut self, text: &str) -> Self {
        text.clone_into(&mut self.main);
        self
    }

    #[track_caller]
    pub(super) fn write_into(&self, folder: &Path) {
        let manifest = format!(
            "[package]\nname = \"project\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n{}\n[workspace]\n",
            self.dependencies
        );
        std::fs::create_dir_all(folder.join("src")).expect("a writable working folder");
        std::fs::write(folder.join("Cargo.toml"), manifest).expect("a writable working folder");
        std::fs::write(folder.join("src/main.rs"), &self.main).expect("a writable working folder");
    }
}
