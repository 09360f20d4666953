//! Reads the `CRATEPORT_*` variables. One that names no setting is refused: it would be a mistake that nobody sees.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::kind::{Said, is_none};
use super::{SettingsError, Source, TABLE, nearest};

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// By the setting's name.
    pub(super) settings: BTreeMap<&'static str, Said>,
    /// Tokens of registries and dist origins, by the variable that holds them.
    pub(super) tokens: BTreeMap<String, Said>,
    /// `CRATEPORT_CONFIG`.
    pub(super) config: Option<PathBuf>,
}

const PREFIX: &str = "CRATEPORT_";
const CONFIG: &str = "CRATEPORT_CONFIG";

/// Reads every variable that is Crateport's.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Environment, SettingsError> {
    let mut environment = Environment::default();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if name == CONFIG {
            environment.config = Some(PathBuf::from(value)).filter(|it| !it.as_os_str().is_empty());
            continue;
        }
        let Ok(text) = value.into_string() else {
            return Err(SettingsError::VariableNotText(name.to_owned()));
        };
        let source = Source::Environment(name.to_owned());
        let said = |text: String| Said { texts: vec![text], is_apart: false, source };
        if is_token(name) {
            if !is_none(&text) {
                environment.tokens.insert(name.to_owned(), said(text));
            }
        } else if let Some(setting) = TABLE.iter().find(|setting| setting.variable() == name) {
            environment.settings.insert(setting.name, said(text));
        } else if !is_service_link(name, &text) {
            let known = TABLE.iter().map(super::Setting::variable).chain([CONFIG.to_owned()]);
            let hint = nearest::hint(name, known);
            return Err(SettingsError::UnknownVariable { name: name.to_owned(), hint });
        }
    }
    Ok(environment)
}

/// Whether it is the token of a registry or a dist origin, as in `CRATEPORT_REGISTRIES_INTERNAL_TOKEN`.
fn is_token(name: &str) -> bool {
    let is_ours =
        ["CRATEPORT_REGISTRIES_", "CRATEPORT_DIST_"].iter().any(|it| name.starts_with(it));
    is_ours && name.ends_with("_TOKEN")
}

/// Whether Kubernetes set the variable because a Service is called `crateport` or `crateport-…`: it tells every pod
/// of the namespace where the Service is (`CRATEPORT_SERVICE_HOST`, `CRATEPORT_PORT=tcp://…`,
/// `CRATEPORT_PORT_8080_TCP_ADDR`), and nobody who installs Crateport should have to know.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_service = ["_SERVICE_HOST", "_SERVICE_PORT"].iter().any(|end| name.ends_with(end))
        || name.contains("_SERVICE_PORT_");
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|start| value.starts_with(start));
    let is_part = name.rsplit_once("_PORT_").or_else(|| {
        let name = name.strip_suffix("_PORT")?;
        name.rsplit_once("_PORT_")
    });
    let is_part = is_part.is_some_and(|(_, rest)| {
        let mut words = rest.split('_');
        let is_number = words.next().is_some_and(|word| word.parse::<u16>().is_ok());
        is_number && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
    });
    is_service || is_part || (name.ends_with("_PORT") && is_url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_says_of_a_service_called_crateport_is_no_setting_of_ours() {
        for (name, value, expected) in [
            ("CRATEPORT_SERVICE_HOST", "10.0.0.7", true),
            ("CRATEPORT_SERVICE_PORT", "80", true),
            ("CRATEPORT_SERVICE_PORT_HTTP", "80", true),
            ("CRATEPORT_PORT", "tcp://10.0.0.7:80", true),
            ("CRATEPORT_PORT_80_TCP", "tcp://10.0.0.7:80", true),
            ("CRATEPORT_PORT_80_TCP_PROTO", "tcp", true),
            ("CRATEPORT_PORT_80_TCP_PORT", "80", true),
            ("CRATEPORT_OPS_PORT_8081_TCP_ADDR", "10.0.0.7", true),
            ("CRATEPORT_PORT", "8080", false),
            ("CRATEPORT_LISTEN_PORT", "8080", false),
            ("CRATEPORT_INDEX_TTL", "60s", false),
        ] {
            assert_eq!(is_service_link(name, value), expected, "{name}");
        }
    }
}
