//! What of the configuration is about MCP servers: the file that `MIRA_MCP_CONFIG` names, read whole, and what its
//! programs get of the environment.

use super::{absolute, env::Reader};
use mira_mcp::{ServerSpec, parse_config};
use std::path::{Path, PathBuf};

/// Far above any such file, far below anything that hurts.
const MOST_BYTES: u64 = 1024 * 1024;
/// What a program needs of the environment to be one. Everything else the file must give it by name.
const PASSED_ON: [&str; 3] = ["PATH", "HOME", "LANG"];
/// Where programs are looked for when nothing says where.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// MCP servers.
#[derive(Debug, Clone, Default)]
pub struct McpConfig {
    /// Those of the file, in its order; none without a file.
    pub servers: Vec<ServerSpec>,
    /// What every program gets of the environment.
    pub environment: Vec<(String, String)>,
}

pub(super) fn read_mcp(reader: &mut Reader<'_>) -> McpConfig {
    const NAME: &str = "MIRA_MCP_CONFIG";
    let Some(path) = reader.optional(NAME, |text| Ok(absolute(PathBuf::from(text)))) else {
        return McpConfig::default();
    };
    let text = match read_file(&path) {
        Ok(text) => text,
        Err(reason) => {
            reader.wrong(NAME, format!("{} {reason}", path.display()));
            return McpConfig::default();
        }
    };
    let parsed = parse_config(&text, &|name| reader.variable(name).map(str::to_owned));
    let servers = match parsed {
        Ok(servers) => servers,
        Err(problems) => {
            for problem in problems {
                reader.wrong(NAME, format!("{}: {problem}", path.display()));
            }
            Vec::new()
        }
    };
    let mut environment: Vec<(String, String)> = PASSED_ON
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), reader.variable(name)?.to_owned())))
        .collect();
    if reader.variable("PATH").is_none() {
        environment.push(("PATH".to_owned(), USUAL_PATH.to_owned()));
    }
    McpConfig { servers, environment }
}

fn read_file(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err("is no file".to_owned());
    }
    if found.len() > MOST_BYTES {
        return Err(format!("is larger than {MOST_BYTES} bytes"));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}
