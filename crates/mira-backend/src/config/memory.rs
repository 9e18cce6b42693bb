//! What of the configuration is about memory: who embeds, where the vectors lie, how much is recalled.

use super::{
    LlmApi, LlmConfig, OPENAI_HOST, OPENAI_URL, Secret,
    env::Reader,
    parse_model,
    types::{Invalid, parse_http_url},
};
use reqwest::Url;

/// Memory.
#[derive(Debug, Clone)]
pub struct MemoryConfig {
    /// Who embeds.
    pub embeddings: EmbeddingsConfig,
    /// Where the vectors lie; `None` is the embedded index.
    pub qdrant: Option<QdrantSettings>,
    /// The most memories recalled for one prompt; 0 recalls none.
    pub recall_results: usize,
}

/// Who embeds.
#[derive(Debug, Clone)]
pub enum EmbeddingsConfig {
    /// The table in the binary.
    Local,
    /// OpenAI or a compatible server.
    Remote {
        /// Its base URL, with or without `/v1`.
        url: Url,
        /// Its key.
        key: Option<Secret>,
        /// The model.
        model: String,
        /// The vectors' dimension.
        dimension: u32,
    },
}

/// Where Qdrant is.
#[derive(Debug, Clone)]
pub struct QdrantSettings {
    /// Its REST address.
    pub url: Url,
    /// Its key.
    pub key: Option<Secret>,
    /// The alias of the collection.
    pub collection: String,
}

impl QdrantSettings {
    /// Host and port, the scheme's own where the address names none.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default();
        port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// Which kind is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Auto,
    OpenAi,
    Local,
}

pub(super) fn read_memory(reader: &mut Reader<'_>, llm: &LlmConfig) -> MemoryConfig {
    let embeddings = read_embeddings(reader, llm);
    let url = reader.optional("QDRANT_URL", parse_http_url);
    let key = reader.secret("QDRANT_API_KEY");
    let collection = reader.or("QDRANT_COLLECTION", "mira-memory".to_owned(), |text| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(legal);
        fits.then(|| text.to_owned())
            .ok_or_else(|| Invalid::new("must be 1 to 128 letters, digits, - or _"))
    });
    MemoryConfig {
        embeddings,
        qdrant: url.map(|url| QdrantSettings { url, key, collection }),
        recall_results: usize::try_from(reader.number("MIRA_RECALL_RESULTS", 12, 0..=200)).unwrap_or(12),
    }
}

fn read_embeddings(reader: &mut Reader<'_>, llm: &LlmConfig) -> EmbeddingsConfig {
    let asked = reader.choice(
        "MIRA_EMBEDDINGS",
        Asked::Auto,
        &[
            ("auto", Asked::Auto),
            ("openai", Asked::OpenAi),
            ("local", Asked::Local),
        ],
    );
    let own_url = reader.optional("MIRA_EMBEDDINGS_URL", parse_http_url);
    let own_key = reader.secret("MIRA_EMBEDDINGS_KEY");
    let own_key_given = reader.is_set("MIRA_EMBEDDINGS_KEY") || reader.is_set("MIRA_EMBEDDINGS_KEY_FILE");
    let model = reader.or("MIRA_EMBEDDING_MODEL", "text-embedding-3-large".to_owned(), parse_model);
    let dimension = reader.number("QDRANT_EMBEDDING_DIM", 3072, 1..=65_536);
    let at_openai = |url: &Url| url.host_str() == Some(OPENAI_HOST);
    let models_own = llm.base_url.as_ref().is_none_or(at_openai) && llm.api != LlmApi::Rehearsal;
    let remote = match asked {
        Asked::Local => false,
        Asked::OpenAi => true,
        // Whoever names a server for embeddings wants it used.
        Asked::Auto => own_url.is_some() || models_own,
    };
    if !remote {
        return EmbeddingsConfig::Local;
    }
    let same_server = own_url.is_none();
    let url = own_url
        .or_else(|| llm.base_url.clone())
        .or_else(|| Url::parse(OPENAI_URL).ok());
    let Some(url) = url else {
        return EmbeddingsConfig::Local;
    };
    // The model's key goes to the model's server and to no other.
    let key = own_key.or_else(|| llm.api_key.clone().filter(|_| same_server));
    // Where the model is asked at the same place, its own missing key has been named already.
    if at_openai(&url) && key.is_none() && !own_key_given && !models_own {
        reader.wrong(
            "MIRA_EMBEDDINGS_KEY",
            format!("is not set, but {OPENAI_HOST} takes nobody without a key (MIRA_EMBEDDINGS=local needs none)"),
        );
    }
    EmbeddingsConfig::Remote {
        url,
        key,
        model,
        dimension: u32::try_from(dimension).unwrap_or(3072),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qdrant_is_named_with_the_port_it_is_asked_at() {
        let check = |url: &str, expect: &str| {
            let settings = QdrantSettings {
                url: parse_http_url(url).unwrap(),
                key: None,
                collection: "c".to_owned(),
            };
            assert_eq!(settings.host(), expect, "{url}");
        };
        check("http://qdrant.example:6333", "qdrant.example:6333");
        check("http://qdrant.example/below", "qdrant.example:80");
        check("https://qdrant.example", "qdrant.example:443");
        check("http://[::1]:6333", "[::1]:6333");
    }
}
