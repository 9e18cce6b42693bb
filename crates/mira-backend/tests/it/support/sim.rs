//! The emulated model inside the test's own process, and a server that is set up to ask it.

use super::server::Setup;
use openai_sim::{Brain, Sim, SimConfig};

/// The only key it lets in.
pub const KEY: &str = "sk-test";

/// A model that obeys `[[sim: ...]]` in messages and answers others with 20 tokens.
pub async fn start() -> Sim {
    start_with(SimConfig {
        brain: Brain::Fixed { tokens: 20 },
        ..SimConfig::default()
    })
    .await
}

/// A model set up in another way; directives and the key are the same.
pub async fn start_with(config: SimConfig) -> Sim {
    let config = SimConfig {
        directives: true,
        api_key: Some(KEY.to_owned()),
        ..config
    };
    Sim::start(config).await.unwrap()
}

/// A server on a fresh data directory that asks this model.
pub fn setup(sim: &Sim) -> Setup {
    Setup::new()
        .env("MIRA_LLM_API", "responses")
        .env("OPENAI_BASE_URL", sim.url())
        .env("OPENAI_API_KEY", KEY)
}
