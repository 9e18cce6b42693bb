//! The WebSocket door. A socket is on one session; its task writes what its cursor in that session's log yields, and
//! hands what the client says to the hub. Nothing a client does or fails to do slows a turn or another client.

pub mod message;
mod socket;

use super::{
    chat_body::parse_session,
    error::ApiError,
    extract::{MAX_BODY_BYTES, Query},
};
use crate::{services::auth::AuthError, state::AppState};
use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::rejection::WebSocketUpgradeRejection::{self, WebSocketKeyHeaderMissing},
    },
    http::HeaderMap,
    response::Response,
};
use mira_core::ids::SessionId;
use serde::Deserialize;

/// The sub-protocol, optional for clients.
const PROTOCOL: &str = "mira.v1";
/// Frames written together leave in one system call; the buffer grows only while it holds something.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// The largest frame fits: a reply that was cut at its cap, as text whose every sign may be escaped and as HTML. One that
/// does not would end the socket, and each that comes back to it. No more than a frame ever waits here.
const MOST_UNSENT_BYTES: usize = 32 * MAX_BODY_BYTES;
/// tungstenite's default read buffer would cost each idle socket 128 KiB.
const READ_BUFFER_BYTES: usize = 2048;

/// The upgrade's query.
#[derive(Debug, Deserialize)]
pub struct Params {
    session_id: Option<String>,
    after: Option<u64>,
    render: Option<String>,
}

/// Where a socket begins.
#[derive(Debug)]
struct Entry {
    session: Option<SessionId>,
    after: Option<u64>,
    html: bool,
}

/// Whether a listener wants rendered blocks beside the words.
pub fn wants_html(render: Option<&str>) -> Result<bool, ApiError> {
    match render {
        None | Some("") => Ok(false),
        Some("html") => Ok(true),
        Some(_) => Err(ApiError::field("render", "only html can be rendered")),
    }
}

/// `GET /ws/chat`: upgrades to a WebSocket. Login is by cookie or header, else by the first frame.
pub async fn upgrade(
    State(state): State<AppState>,
    Query(params): Query<Params>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|refused| match refused {
        WebSocketKeyHeaderMissing(_) => ApiError::Malformed("Sec-WebSocket-Key is missing".to_owned()),
        _ => ApiError::UpgradeRequired,
    })?;
    let html = wants_html(params.render.as_deref())?;
    let session = params.session_id.as_deref().map(parse_session).transpose()?;
    let entry = Entry {
        session,
        after: params.after,
        html,
    };
    let login = match state.auth().authenticate(&headers).await {
        Ok(identity) => {
            let session = entry.session.as_ref().unwrap_or_else(|| state.default_session());
            state
                .hub()
                .live(identity.account, session)
                .await?
                .ok_or(ApiError::NotFound("session"))?;
            Ok(Some(identity))
        }
        Err(AuthError::Missing) => Ok(None),
        Err(refused) => Err(refused),
    };
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(MOST_UNSENT_BYTES)
        .max_message_size(MAX_BODY_BYTES)
        .max_frame_size(MAX_BODY_BYTES);
    let life = state.life().clone();
    // Tracked, so that shutdown waits until the client has been told.
    Ok(upgrade.on_upgrade(move |socket| life.track(socket::run(state, socket, login, entry))))
}
