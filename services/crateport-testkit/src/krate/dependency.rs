//! One dependency of a crate, as its author would write it.

use serde::Serialize;

/// When a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// To build and run the crate.
    Normal,
    /// To build its build script.
    Build,
    /// To build its tests.
    Dev,
}

/// A dependency with everything an index line can say about it.
#[derive(Debug, Clone)]
#[must_use = "a dependency belongs to a crate"]
pub struct Dependency {
    pub(super) name: String,
    pub(super) req: String,
    pub(super) features: Vec<String>,
    pub(super) optional: bool,
    pub(super) default_features: bool,
    pub(super) target: Option<String>,
    pub(super) kind: Kind,
    pub(super) registry: Option<String>,
    pub(super) renamed_to: Option<String>,
}

impl Dependency {
    /// A normal dependency with its default features.
    pub fn new(name: &str, req: &str) -> Self {
        Self {
            name: name.to_owned(),
            req: req.to_owned(),
            features: Vec::new(),
            optional: false,
            default_features: true,
            target: None,
            kind: Kind::Normal,
            registry: None,
            renamed_to: None,
        }
    }

    /// When it is needed.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Only with a feature.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Without its default features.
    pub fn no_default_features(mut self) -> Self {
        self.default_features = false;
        self
    }

    /// Features it is asked for.
    pub fn features(mut self, features: &[&str]) -> Self {
        self.features = features.iter().map(|&feature| feature.to_owned()).collect();
        self
    }

    /// Only for this target or `cfg(…)`.
    pub fn target(mut self, target: &str) -> Self {
        self.target = Some(target.to_owned());
        self
    }

    /// The name the crate uses for it in its own code.
    pub fn renamed_to(mut self, alias: &str) -> Self {
        self.renamed_to = Some(alias.to_owned());
        self
    }

    /// The index URL of another registry it comes from.
    pub fn registry(mut self, index_url: &str) -> Self {
        self.registry = Some(index_url.to_owned());
        self
    }

    /// The name in the manifest: the alias if there is one.
    pub(super) fn local_name(&self) -> &str {
        self.renamed_to.as_deref().unwrap_or(&self.name)
    }
}
