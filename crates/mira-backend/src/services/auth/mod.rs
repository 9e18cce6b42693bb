//! Who is calling. One gate for REST, pages and sockets: a bearer token or the cookie of a login.
//!
//! Invariants: secrets are compared in constant time and never logged; a login is stored as a hash and bound to the
//! token it was made with, so a new token ends all logins; every end of a login bumps [`Auth::revocations`], so that
//! open sockets ask again.

mod throttle;
mod token;

pub use token::{
    CODE_LIFETIME, Fingerprint, TokenError, login_hash, new_code, random_secret, read_or_create_token, read_token,
    replace_token,
};

use crate::{
    config::{AccessConfig, AuthMode, Secret},
    lifecycle::Lifecycle,
};
use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use mira_core::{
    clock::Clock,
    ids::{AccountId, LoginId},
};
use mira_memory::{Listed, Login, NewLogin, Page, Store, StoreError};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use throttle::Throttle;
use token::{FileStamp, read_code, same_secret};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};

/// The cookie of a login.
pub const AUTH_COOKIE: &str = "mira_auth";

/// How long a login lasts without use.
pub const LOGIN_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A login's use is written down at most this often, so that reading does not write.
const TOUCH_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// How often the token file is looked at. A look is one `stat`.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// A request carries at most this many cookies of ours that are worth looking up.
const MAX_COOKIES: usize = 4;

/// A caller who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose data this is.
    pub account: AccountId,
    /// The browser login, where it was one and not the token itself.
    pub login_id: Option<LoginId>,
    login_hash: Option<[u8; 32]>,
    token: Option<Fingerprint>,
    renewed_cookie: Option<String>,
}

impl Identity {
    /// The cookie's value, where its life was just made longer and the browser should hear of it.
    pub fn renewed_cookie(&self) -> Option<&str> {
        self.renewed_cookie.as_deref()
    }
}

/// Why a caller may not come in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Neither header nor cookie.
    #[error("log in first: send `Authorization: Bearer TOKEN`; `mira-backend token` prints the token")]
    Missing,
    /// A wrong token or code.
    #[error("the token is wrong; `mira-backend token` prints the right one")]
    Wrong,
    /// A one-time link that is too old or was used.
    #[error("the link is too old or was used already; `mira-backend login-link` prints a fresh one")]
    SpentCode,
    /// A cookie of a login that has ended.
    #[error("this login has ended; log in again with the token that `mira-backend token` prints")]
    Ended,
    /// Too many failures.
    #[error("too many failed logins; wait")]
    Throttled(Duration),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The gate. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    mode: AuthMode,
    token: RwLock<Current>,
    /// `None` where the environment gives the token.
    token_file: Option<PathBuf>,
    throttle: Mutex<Throttle>,
    revocations: watch::Sender<u64>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

#[derive(Clone)]
struct Current {
    token: Secret,
    fingerprint: Fingerprint,
}

impl Current {
    fn new(token: Secret) -> Self {
        Self {
            fingerprint: Fingerprint::of(&token),
            token,
        }
    }
}

/// A fresh login: the id and the secret for the cookie, which is nowhere else.
#[derive(Debug)]
pub struct FreshLogin {
    /// Its id.
    pub id: LoginId,
    /// The cookie's value.
    pub secret: String,
}

impl Auth {
    /// Reads the token (making one at the very first start). Blocks for a file or two.
    pub fn open(
        access: &AccessConfig,
        token_file: &Path,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TokenError> {
        let (token, token_file) = match &access.token {
            Some(token) => (token.clone(), None),
            None => (read_or_create_token(token_file, &*clock)?, Some(token_file.to_owned())),
        };
        Ok(Self(Arc::new(Inner {
            mode: access.mode,
            token: RwLock::new(Current::new(token)),
            token_file,
            throttle: Mutex::default(),
            revocations: watch::Sender::new(0),
            store,
            clock,
        })))
    }

    /// A one-time code for the login link.
    pub fn login_code(&self) -> String {
        new_code(&self.current().token, &*self.0.clock)
    }

    /// Whether a login is needed at all.
    pub fn mode(&self) -> AuthMode {
        self.0.mode
    }

    /// Whether the environment gives a token that is easily guessed.
    pub fn token_is_short(&self) -> bool {
        self.current().token.expose().len() < 16
    }

    /// Who sent these headers.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError> {
        if self.0.mode == AuthMode::Off {
            return Ok(Identity::owner(None));
        }
        // Another scheme is for somebody else: a proxy in front that asks for a password leaves it in the request.
        let named = headers.get(header::AUTHORIZATION);
        if let Some(token) = named.and_then(|value| bearer(value.as_bytes())) {
            return self.authenticate_token(token);
        }
        let cookies = cookies(headers);
        if cookies.is_empty() {
            return Err(AuthError::Missing);
        }
        for secret in cookies {
            if let Some(identity) = self.identify(&secret).await? {
                return Ok(identity);
            }
        }
        Err(AuthError::Ended)
    }

    /// Who knows this token. The right one is never refused, however many wrong ones came before it.
    pub fn authenticate_token(&self, token: &str) -> Result<Identity, AuthError> {
        let current = self.current();
        if self.0.mode == AuthMode::Off || same_secret(token, current.token.expose()) {
            return Ok(Identity::owner(Some(current.fingerprint)));
        }
        Err(self.refusal())
    }

    /// Whether a caller let in earlier may stay.
    pub async fn still_valid(&self, identity: &Identity) -> Result<bool, StoreError> {
        if self.0.mode == AuthMode::Off {
            return Ok(true);
        }
        if identity.token.as_ref() != Some(&self.current().fingerprint) {
            return Ok(false);
        }
        let Some(hash) = identity.login_hash else {
            return Ok(true);
        };
        let login = self.0.store.find_login(&hash).await?;
        Ok(login.is_some_and(|login| login.expires_at > self.0.clock.now()))
    }

    /// Changes whenever a login or the token ends; whoever holds an open socket asks [`Self::still_valid`] again then.
    pub fn revocations(&self) -> watch::Receiver<u64> {
        self.0.revocations.subscribe()
    }

    /// A login by token. Like the right bearer token it is never refused for the wrong ones of others.
    pub async fn login_with_token(&self, token: &str, user_agent: &str) -> Result<FreshLogin, AuthError> {
        if self.0.mode != AuthMode::Off && !same_secret(token, self.current().token.expose()) {
            return Err(self.refusal());
        }
        self.insert_login(user_agent).await
    }

    /// A login by one-time code.
    pub async fn login_with_code(&self, code: &str, user_agent: &str) -> Result<FreshLogin, AuthError> {
        let Some(claim) = read_code(&self.current().token, code) else {
            return Err(self.refusal());
        };
        let now = self.0.clock.now();
        if claim.expires_at <= now
            || !self
                .0
                .store
                .claim_code(AccountId::OWNER, claim.hash, claim.expires_at)
                .await?
        {
            return Err(AuthError::SpentCode);
        }
        self.insert_login(user_agent).await
    }

    /// The logins that still count, newest first.
    pub async fn list_logins(
        &self,
        account: AccountId,
        page: Page<LoginId>,
    ) -> Result<Listed<Login, LoginId>, StoreError> {
        let mut logins = self.0.store.list_logins(account, page).await?;
        let fingerprint = self.current().fingerprint;
        logins.items.retain(|login| self.counts(login, &fingerprint));
        Ok(logins)
    }

    /// One login, if it still counts.
    pub async fn find_login(&self, account: AccountId, id: LoginId) -> Result<Option<Login>, StoreError> {
        let login = self.0.store.find_login_by_id(account, id).await?;
        Ok(login.filter(|login| self.counts(login, &self.current().fingerprint)))
    }

    fn counts(&self, login: &Login, fingerprint: &Fingerprint) -> bool {
        login.expires_at > self.0.clock.now() && login.token_fingerprint == fingerprint.as_bytes()
    }

    /// Removes what no longer counts from the store.
    pub async fn purge(&self) {
        match self.0.store.purge_logins(self.0.clock.now()).await {
            Ok(0) => {}
            Ok(logins) => tracing::info!(logins, "expired logins removed"),
            Err(e) => tracing::warn!(error = %e, "expired logins could not be removed"),
        }
    }

    /// Ends a login; whether there was one.
    pub async fn end_login(&self, account: AccountId, id: LoginId) -> Result<bool, StoreError> {
        let ended = self.0.store.delete_login(account, id).await?;
        if ended {
            self.bump();
        }
        Ok(ended)
    }

    /// Ends all logins.
    pub async fn end_logins(&self, account: AccountId) -> Result<(), StoreError> {
        self.0.store.delete_all_logins(account).await?;
        self.bump();
        Ok(())
    }

    /// Watches the token file, so that `token new` takes effect in a running server within a second. Ends with `life`.
    pub async fn watch_token_file(self, life: Lifecycle) {
        let Some(path) = self.0.token_file.clone() else { return };
        // Nothing seen yet: a change between reading the token at start and this first look is not missed.
        let mut seen = None;
        let mut ticks = tokio::time::interval(WATCH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while life.soft().run_until_cancelled(ticks.tick()).await.is_some() {
            let file = path.clone();
            let look = move || {
                let stamp = FileStamp::of(&file);
                (stamp != seen).then(|| (stamp, read_token(&file)))
            };
            if let Ok(Some((stamp, found))) = life.spawn_blocking(look).await {
                seen = stamp;
                self.take_found(found).await;
            }
        }
    }

    async fn take_found(&self, found: Result<Option<Secret>, TokenError>) {
        match found {
            Ok(Some(token)) => self.take_token(token).await,
            Ok(None) => tracing::warn!("the token file is gone; the token in use stays until there is a new one"),
            Err(e) => tracing::warn!(error = %e, "the token file cannot be read; the token in use stays"),
        }
    }

    async fn take_token(&self, token: Secret) {
        let next = Current::new(token);
        if next.fingerprint == self.current().fingerprint {
            return;
        }
        *self.0.token.write().unwrap_or_else(PoisonError::into_inner) = next;
        self.bump();
        tracing::info!("the token was replaced; all logins are ended");
        // The old logins no longer count whether or not this succeeds: they are bound to the old token.
        if let Err(e) = self.0.store.delete_all_logins(AccountId::OWNER).await {
            tracing::warn!(error = %e, "ended logins could not be removed");
        }
    }

    async fn identify(&self, secret: &str) -> Result<Option<Identity>, AuthError> {
        let hash = login_hash(secret);
        let found = self.0.store.find_login(&hash).await?;
        let fingerprint = self.current().fingerprint;
        let Some(login) = found.filter(|login| self.counts(login, &fingerprint)) else {
            return Ok(None);
        };
        let now = self.0.clock.now();
        let touch = now.duration_since(login.last_seen_at) >= TOUCH_EVERY;
        if touch
            && !self
                .0
                .store
                .touch_login(login.account_id, login.id, now, expiry(now))
                .await?
        {
            return Ok(None);
        }
        Ok(Some(Identity {
            account: login.account_id,
            login_id: Some(login.id),
            login_hash: Some(hash),
            token: Some(fingerprint),
            renewed_cookie: touch.then(|| secret.to_owned()),
        }))
    }

    async fn insert_login(&self, user_agent: &str) -> Result<FreshLogin, AuthError> {
        self.throttle().succeeded();
        let now = self.0.clock.now();
        let fresh = FreshLogin {
            id: LoginId(self.0.clock.new_uuid()),
            secret: random_secret(&*self.0.clock),
        };
        let row = NewLogin {
            id: fresh.id,
            token_hash: login_hash(&fresh.secret),
            token_fingerprint: self.current().fingerprint.as_bytes().to_vec(),
            label: mira_core::chat::one_line(user_agent, 200),
            now,
            expires_at: expiry(now),
        };
        self.0.store.insert_login(AccountId::OWNER, row).await?;
        Ok(fresh)
    }

    /// What somebody hears who knows neither token nor code: that it is wrong, or how long to wait.
    fn refusal(&self) -> AuthError {
        let now = Instant::now();
        let mut throttle = self.throttle();
        if let Err(wait) = throttle.admit(now) {
            return AuthError::Throttled(wait);
        }
        throttle.failed(now);
        AuthError::Wrong
    }

    fn bump(&self) {
        self.0
            .revocations
            .send_modify(|generation| *generation = generation.wrapping_add(1));
    }

    fn current(&self) -> Current {
        self.0.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.0.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    fn owner(token: Option<Fingerprint>) -> Self {
        Self {
            account: AccountId::OWNER,
            login_id: None,
            login_hash: None,
            token,
            renewed_cookie: None,
        }
    }
}

fn expiry(now: Timestamp) -> Timestamp {
    now.saturating_add(LOGIN_LIFETIME).unwrap_or(Timestamp::MAX)
}

/// The token in `Bearer TOKEN`; the scheme in any case.
fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| cookie::Cookie::split_parse(value).flatten())
        .filter(|cookie| cookie.name() == AUTH_COOKIE && !cookie.value().is_empty())
        .map(|cookie| cookie.value().to_owned())
        .take(MAX_COOKIES)
        .collect()
}
