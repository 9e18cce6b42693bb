//! What the commands that talk to a running server share: where it is, and the owner's token.

use super::CliError;
use crate::{
    config::{Config, Secret},
    datadir,
    services::auth::read_token,
};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use std::path::Path;

/// A running server and the key to it.
#[derive(Debug)]
pub(super) struct Server {
    /// Its address, ending with a slash.
    pub base: Url,
    /// The owner's token; none is needed where the login is off.
    pub token: Option<Secret>,
}

impl Server {
    /// The server on this data directory, if one runs.
    pub fn running(config: &Config) -> Result<Option<Self>, CliError> {
        let Some(address) = datadir::holder(config).and_then(|holder| holder.address) else {
            return Ok(None);
        };
        let base = parse_base(&format!("http://{}", datadir::reachable(address)))?;
        Ok(Some(Self {
            base,
            token: token(config, None)?,
        }))
    }

    /// The server the owner named, or the one on this data directory.
    pub fn find(config: &Config, url: Option<&str>, token_file: Option<&Path>) -> Result<Self, CliError> {
        let base = match url {
            Some(url) => parse_base(url)?,
            None => Self::running(config)?.map(|server| server.base).ok_or_else(|| {
                let place = config.data_dir.display();
                CliError::Plain(format!(
                    "no server runs on {place}; start `mira-backend`, or name one with --url"
                ))
            })?,
        };
        let token = token(config, token_file)?;
        Ok(Self { base, token })
    }

    /// A route of the server.
    pub fn route(&self, path: &str) -> Result<Url, CliError> {
        self.base
            .join(path)
            .map_err(|e| CliError::Plain(format!("{}: {e}", self.base)))
    }

    /// A request with the owner's token.
    pub fn request(&self, client: &Client, method: Method, path: &str) -> Result<RequestBuilder, CliError> {
        let request = client.request(method, self.route(path)?);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        })
    }
}

/// A client for the machine's own server.
pub(super) fn http_client() -> Result<Client, CliError> {
    // An error means that the process has chosen its TLS provider already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let built = Client::builder().no_proxy().tls_certs_only([]).build();
    built.map_err(|e| CliError::Plain(e.to_string()))
}

/// The JSON the server answered; what it refused, in its own words.
pub(super) async fn answer<T: DeserializeOwned>(
    sent: reqwest::Result<Response>,
    server: &Server,
    what: &str,
) -> Result<T, CliError> {
    let failed = |e: reqwest::Error| CliError::Plain(format!("{}: {e}", server.base));
    let response = sent.map_err(failed)?;
    let status = response.status();
    let text = response.bytes().await.map_err(failed)?;
    if !status.is_success() {
        let problem: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let detail = problem
            .get("detail")
            .and_then(|detail| detail.as_str())
            .unwrap_or_default();
        return Err(CliError::Plain(format!("the server refused {what}: {status} {detail}")));
    }
    serde_json::from_slice(&text).map_err(|e| CliError::Plain(format!("the server's answer: {e}")))
}

fn token(config: &Config, token_file: Option<&Path>) -> Result<Option<Secret>, CliError> {
    match (token_file, &config.access.token) {
        (Some(file), _) => match read_token(file)? {
            Some(token) => Ok(Some(token)),
            None => Err(CliError::Plain(format!("{}: there is no such file", file.display()))),
        },
        (None, Some(token)) => Ok(Some(token.clone())),
        (None, None) => Ok(read_token(&config.token_file())?),
    }
}

fn parse_base(text: &str) -> Result<Url, CliError> {
    let bad = |reason: &str| CliError::Plain(format!("{text}: {reason}"));
    let mut url = Url::parse(text).map_err(|e| bad(&e.to_string()))?;
    if url.scheme() != "http" {
        return Err(bad(
            "the terminal speaks plain http only; reach a server behind TLS through `ssh -L`",
        ));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(parse_base(text).ok().map(String::from).as_deref(), expect, "{text}");
        };
        check("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/"));
        check("http://h/mira", Some("http://h/mira/"));
        check("https://h", None);
        check("127.0.0.1:8080", None);
        assert_eq!(
            datadir::reachable("0.0.0.0:1".parse().unwrap()).to_string(),
            "127.0.0.1:1"
        );
    }
}
