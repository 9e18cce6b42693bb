//! Every variable Mira knows. What a variable means is in the README; how it is parsed is in `config`.

/// One variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Whether `NAME_FILE` may give it.
    pub secret: bool,
}

const fn plain(name: &'static str) -> Variable {
    Variable { name, secret: false }
}

const fn secret(name: &'static str) -> Variable {
    Variable { name, secret: true }
}

/// All of them, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    plain("MIRA_HOST"),
    plain("MIRA_PORT"),
    plain("MIRA_DATA_DIR"),
    plain("MIRA_AUTH"),
    secret("MIRA_AUTH_TOKEN"),
    plain("MIRA_PUBLIC_URL"),
    plain("MIRA_ALLOWED_HOSTS"),
    plain("MIRA_ALLOWED_ORIGINS"),
    plain("MIRA_TRUSTED_PROXIES"),
    plain("MIRA_ALLOW_PRIVATE_HOSTS"),
    plain("DATABASE_URL"),
    plain("SQLITE_MAX_CONNECTIONS"),
    plain("MIRA_DURABILITY"),
    secret("OPENAI_API_KEY"),
    plain("OPENAI_BASE_URL"),
    plain("MIRA_LLM_API"),
    plain("MIRA_REPLY_FORMAT"),
    plain("MIRA_MODEL"),
    plain("MIRA_VERBOSITY"),
    plain("MIRA_REASONING_EFFORT"),
    plain("MIRA_MAX_OUTPUT_TOKENS"),
    plain("MIRA_INTENT_MODEL"),
    plain("MIRA_EMBEDDINGS"),
    plain("MIRA_EMBEDDINGS_URL"),
    secret("MIRA_EMBEDDINGS_KEY"),
    plain("MIRA_EMBEDDING_MODEL"),
    plain("QDRANT_EMBEDDING_DIM"),
    plain("QDRANT_URL"),
    secret("QDRANT_API_KEY"),
    plain("QDRANT_COLLECTION"),
    plain("MIRA_SESSION_ID"),
    plain("MIRA_DEFAULT_PERSONA"),
    plain("MIRA_PERSONA_DIR"),
    plain("MIRA_HISTORY_MESSAGES"),
    plain("MIRA_CONTEXT_TOKENS"),
    plain("MIRA_RECALL_RESULTS"),
    plain("MIRA_TZ"),
    plain("MIRA_DAILY_TOKEN_BUDGET"),
    plain("MIRA_APPROVAL_SECONDS"),
    plain("ENABLE_WEB_SEARCH"),
    plain("ENABLE_CODE_INTERPRETER"),
    plain("ENABLE_FILE_SEARCH"),
    plain("ENABLE_IMAGE_GENERATION"),
    plain("MIRA_SEARXNG_URL"),
    secret("BRAVE_API_KEY"),
    secret("TAVILY_API_KEY"),
    plain("MIRA_IMAGE_MODEL"),
    plain("MIRA_MCP_CONFIG"),
    plain("GIT_REPOS_DIR"),
    plain("MIRA_GIT_AUTHOR"),
    plain("RUST_LOG"),
    plain("MIRA_LOG_FORMAT"),
    plain("MIRA_SHUTDOWN_GRACE_SECONDS"),
];

/// A warning for a `MIRA_` variable that does not exist, naming the nearest one that does.
pub fn unknown_warning(name: &str) -> Option<String> {
    if !name.starts_with("MIRA_") || is_known(name) {
        return None;
    }
    let nearest = VARIABLES
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known.name), known.name))
        .min()
        .filter(|(distance, _)| *distance <= 6);
    Some(match nearest {
        Some((_, known)) => format!("{name} is not a variable Mira knows; did you mean {known}?"),
        None => format!("{name} is not a variable Mira knows"),
    })
}

fn is_known(name: &str) -> bool {
    let by_file = name.strip_suffix("_FILE");
    VARIABLES
        .iter()
        .any(|known| known.name == name || (known.secret && by_file == Some(known.name)))
}

#[cfg(test)]
mod tests {
    use super::unknown_warning;

    fn check(name: &str, expect: Option<&str>) {
        assert_eq!(unknown_warning(name).as_deref(), expect, "{name}");
    }

    #[test]
    fn unknown_names() {
        check(
            "MIRA_PROT",
            Some("MIRA_PROT is not a variable Mira knows; did you mean MIRA_PORT?"),
        );
        check(
            "MIRA_SOMETHING_ALTOGETHER_ELSE",
            Some("MIRA_SOMETHING_ALTOGETHER_ELSE is not a variable Mira knows"),
        );
        check("MIRA_AUTH_TOKEN_FILE", None);
        check(
            "MIRA_PORT_FILE",
            Some("MIRA_PORT_FILE is not a variable Mira knows; did you mean MIRA_PORT?"),
        );
        check("PATH", None);
    }
}
