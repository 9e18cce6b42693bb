//! What of the configuration is about tools that a provider may run, and about drawing.

use super::{WebConfig, env::Reader, parse_model};
use mira_core::model::HostedKind;

/// Which tools the owner has switched on, and who draws.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostedConfig {
    /// `ENABLE_WEB_SEARCH`.
    pub web_search: bool,
    /// `ENABLE_CODE_INTERPRETER`.
    pub code_interpreter: bool,
    /// `ENABLE_FILE_SEARCH`.
    pub file_search: bool,
    /// `ENABLE_IMAGE_GENERATION`.
    pub image_generation: bool,
    /// `MIRA_IMAGE_MODEL`.
    pub image_model: Option<String>,
}

impl HostedConfig {
    /// Whether the owner has switched this tool on.
    pub fn enabled(&self, kind: HostedKind) -> bool {
        match kind {
            HostedKind::WebSearch => self.web_search,
            HostedKind::CodeInterpreter => self.code_interpreter,
            HostedKind::FileSearch => self.file_search,
            HostedKind::ImageGeneration => self.image_generation,
        }
    }

    /// Whether a provider needs copies of the owner's documents.
    pub fn wants_copies(&self) -> bool {
        self.file_search || self.code_interpreter
    }
}

/// The web is read beside this; nothing is read twice, or it would be found wrong twice.
pub(super) fn read_hosted(reader: &mut Reader<'_>, web: &WebConfig) -> HostedConfig {
    let mut on = |name| reader.choice(name, true, &[("true", true), ("false", false)]);
    HostedConfig {
        web_search: web.enabled,
        code_interpreter: on("ENABLE_CODE_INTERPRETER"),
        file_search: on("ENABLE_FILE_SEARCH"),
        image_generation: on("ENABLE_IMAGE_GENERATION"),
        image_model: reader.optional("MIRA_IMAGE_MODEL", parse_model),
    }
}
