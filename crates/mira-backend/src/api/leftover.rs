//! Bodies that a handler did not read to their end. A refusal that comes early (no login, too large) leaves the rest on
//! the wire: a client that still sends may lose the answer with the connection, and one that keeps its connections runs
//! into a closed one with its next request. So the rest is read and thrown away, within bounds; where there is more of
//! it, the answer says that the connection closes.

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, header},
    response::Response,
};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::timeout;

/// How much is thrown away. A client that goes on sending past this hears nothing: that is its own doing.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// How long that may take.
const WITHIN: Duration = Duration::from_secs(5);

/// What is left of a body.
struct Rest {
    body: Body,
    /// The client waits for leave to send it (`Expect: 100-continue`), and nobody has asked for it.
    waits: bool,
}

/// Where what is left of a lent body is found once its reader is done.
pub struct Leftover(Option<Arc<Mutex<Option<Rest>>>>);

/// Lends a request's body to whoever answers the request.
pub fn lend(request: Request) -> (Request, Leftover) {
    if request.body().is_end_stream() {
        return (request, Leftover(None));
    }
    let waits = request.headers().contains_key(header::EXPECT);
    let back = Arc::new(Mutex::new(None));
    let request = request.map(|body| {
        Body::new(Lent {
            rest: Some(Rest { body, waits }),
            back: Arc::clone(&back),
        })
    });
    (request, Leftover(Some(back)))
}

impl Leftover {
    /// Throws away what nobody read, or says in the answer that the connection closes.
    pub async fn settle(self, response: &mut Response) {
        let found = { self.0 }.and_then(|back| back.lock().unwrap_or_else(PoisonError::into_inner).take());
        let Some(Rest { body, waits }) = found else { return };
        if waits || !thrown_away(body).await {
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Whether the body came to its end.
async fn thrown_away(mut body: Body) -> bool {
    let reading = async {
        let mut left = MOST_BYTES;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return false;
            }
        }
        true
    };
    timeout(WITHIN, reading).await.unwrap_or(false)
}

/// A body that goes back when it is dropped before its end.
struct Lent {
    rest: Option<Rest>,
    back: Arc<Mutex<Option<Rest>>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        rest.waits = false;
        let frame = ready!(Pin::new(&mut rest.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.rest = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.as_ref().is_none_or(|rest| rest.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.as_ref();
        rest.map_or_else(|| SizeHint::with_exact(0), |rest| rest.body.size_hint())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let rest = self.rest.take().filter(|rest| !rest.body.is_end_stream());
        *self.back.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}
