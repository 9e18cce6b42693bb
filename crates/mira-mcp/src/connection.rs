//! One connection from its greeting to its end: what is asked over it, and how the library's errors read.

use crate::{
    answer::{self, McpAnswer},
    catalog::Catalog,
    config::{Reach, ServerSpec},
    error::{LinkError, McpError, tame},
    http::Http,
    link::{Blame, Hooks, MOST_MESSAGE_BYTES, Patience, is_too_large},
    stdio::Stdio,
};
use mira_net::GuardedClient;
use rmcp::{
    ClientHandler, Peer, RoleClient, ServiceError,
    model::{
        CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest, ErrorCode, ErrorData,
        Implementation, ListToolsRequest, PaginatedRequestParams,
    },
    service::{
        ClientInitializeError, NotificationContext, PeerRequestOptions, RequestHandle, RunningService,
        serve_client_with_ct,
    },
    transport::{DynamicTransportError, Transport},
};
use serde_json::{Map, Value};
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

/// Pages of a list of tools that are asked for; with one tool on each, as many as are taken.
const MOST_PAGES: usize = crate::catalog::MOST_TOOLS;
/// For a cancellation to be handed to the connection.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// What every connection is made with.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    /// For addresses.
    pub client: GuardedClient,
    /// What every program gets of the environment.
    pub environment: Arc<[(String, String)]>,
    /// The process.
    pub hooks: Hooks,
    /// The waits.
    pub patience: Patience,
}

/// A connection that has greeted.
pub(crate) struct Connection {
    service: RunningService<RoleClient, Listener>,
    /// Rings when the list of tools has changed.
    pub changes: mpsc::Receiver<()>,
    blame: Blame,
}

/// What the library calls when a server speaks by itself. What it asks for (our model, the owner, their files) is
/// refused by the library's own defaults.
struct Listener {
    changed: mpsc::Sender<()>,
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let mira = Implementation::new("mira", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), mira)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        // One ring is enough for many changes.
        self.changed.try_send(()).unwrap_or_default();
    }
}

impl Connection {
    /// Connects and greets; ends early when `over` is set.
    pub async fn open(spec: &ServerSpec, means: &Means, over: CancellationToken) -> Result<Self, LinkError> {
        let blame = Blame::default();
        match &spec.reach {
            Reach::Program(program) => {
                let shared = (&means.hooks, blame.clone(), means.patience.ending);
                let transport = Stdio::start(program, &means.environment, &spec.name, shared)?;
                Self::greet(transport, means, blame, over).await
            }
            Reach::Remote(remote) => {
                let transport = Http::new(remote, means.client.clone(), &means.hooks, blame.clone());
                Self::greet(transport, means, blame, over).await
            }
        }
    }

    async fn greet<T>(transport: T, means: &Means, blame: Blame, over: CancellationToken) -> Result<Self, LinkError>
    where
        T: Transport<RoleClient, Error = LinkError> + 'static,
    {
        let (changed, changes) = mpsc::channel(1);
        let limit = means.patience.greeting;
        let greeting = serve_client_with_ct(Listener { changed }, transport, over);
        let service = timeout(limit, greeting)
            .await
            .map_err(|_| LinkError::Silent(limit))?
            .map_err(|error| LinkError::Greeting(blame.get().unwrap_or_else(|| greeting_failed(error))))?;
        Ok(Self {
            service,
            changes,
            blame,
        })
    }

    /// Who can be asked.
    pub fn peer(&self) -> Peer<RoleClient> {
        self.service.peer().clone()
    }

    /// Why it ended, if it did.
    pub fn blame(&self) -> Blame {
        self.blame.clone()
    }

    /// Waits for the end of the connection; the reason, if it was not closed from this side.
    pub async fn ended(self) -> Option<String> {
        drop(self.service.waiting().await);
        self.blame.get()
    }
}

fn greeting_failed(error: ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => transport_failed(&error),
        ClientInitializeError::JsonRpcError(error) => said(&error),
        ClientInitializeError::Cancelled => LinkError::Closed.to_string(),
        ClientInitializeError::ConnectionClosed(_) => "the connection ended".to_owned(),
        // The rest would show what the server sent.
        _ => LinkError::NoMessage.to_string(),
    }
}

/// An error a server answers with.
fn said(error: &ErrorData) -> String {
    if is_too_large(error) {
        return LinkError::TooLarge(MOST_MESSAGE_BYTES).to_string();
    }
    format!("it says {:?}", tame(&error.message))
}

fn transport_failed(error: &DynamicTransportError) -> String {
    error.error.to_string()
}

/// All tools a server lists.
pub(crate) async fn list(peer: &Peer<RoleClient>, spec: &ServerSpec, limit: Duration) -> Result<Catalog, LinkError> {
    timeout(limit, list_pages(peer, spec))
        .await
        .map_err(|_| LinkError::Silent(limit))?
}

async fn list_pages(peer: &Peer<RoleClient>, spec: &ServerSpec) -> Result<Catalog, LinkError> {
    let mut catalog = Catalog::default();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
        let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
        let page = match peer.send_request(request).await {
            Ok(page) => page,
            // A server without tools may not know the question.
            Err(ServiceError::McpError(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => break,
            Err(error) => return Err(LinkError::List(list_failed(error))),
        };
        let page = serde_json::to_value(page).map_err(|_| LinkError::NoMessage)?;
        let more = catalog
            .take(spec, &page)
            .map_err(|why| LinkError::List(why.to_owned()))?;
        let next = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        // A list that goes in a circle ends too.
        if !more || next.is_none() || next == cursor {
            break;
        }
        cursor = next;
    }
    Ok(catalog.sorted())
}

fn list_failed(error: ServiceError) -> String {
    match error {
        ServiceError::McpError(error) => said(&error),
        ServiceError::TransportSend(error) => transport_failed(&error),
        ServiceError::TransportClosed | ServiceError::Cancelled { .. } => LinkError::Closed.to_string(),
        _ => LinkError::NoMessage.to_string(),
    }
}

/// A call on its way. Dropped before its answer, it tells the server that nobody waits any more.
struct Flight {
    handle: Option<RequestHandle<RoleClient>>,
    hooks: Hooks,
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            (self.hooks.spawn)(Box::pin(async move {
                // Where it cannot be told, it is gone.
                drop(
                    timeout(
                        CANCEL_LIMIT,
                        handle.cancel(Some("nobody waits for it any more".to_owned())),
                    )
                    .await,
                );
            }));
        }
    }
}

/// Calls a tool. May be dropped at any await.
pub(crate) async fn call(
    (peer, blame): (&Peer<RoleClient>, &Blame),
    (server, hooks): (&str, &Hooks),
    name: &str,
    arguments: Map<String, Value>,
    limit: Duration,
) -> Result<McpAnswer, McpError> {
    let server = || server.to_owned();
    let params = CallToolRequestParams::new(Cow::Owned(name.to_owned())).with_arguments(arguments);
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    let called = async {
        let handle = peer
            .send_request_with_option(request, PeerRequestOptions::no_options())
            .await?;
        let mut flight = Flight {
            handle: Some(handle),
            hooks: hooks.clone(),
        };
        let answer = match &mut flight.handle {
            Some(handle) => (&mut handle.rx).await.map_err(|_| ServiceError::TransportClosed)?,
            None => return Err(ServiceError::TransportClosed),
        };
        flight.handle = None;
        answer
    };
    let result = match timeout(limit, called).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => return Err(call_failed(error, server(), blame)),
        Err(_) => {
            return Err(McpError::Timeout {
                server: server(),
                after: limit,
            });
        }
    };
    let nonsense = |why| McpError::Nonsense { server: server(), why };
    let result = serde_json::to_value(result).map_err(|_| nonsense("it cannot be read"))?;
    // Only newer versions of the protocol than were greeted with know these; a server may still try.
    if result.get("resultType").is_some_and(|kind| kind != "complete") {
        return Err(nonsense(
            "it asks for something in the middle of a call, which Mira does not give",
        ));
    }
    answer::read(result).ok_or_else(|| nonsense("it is no result of a tool"))
}

fn call_failed(error: ServiceError, server: String, blame: &Blame) -> McpError {
    let too_large = |server, limit| McpError::TooLarge { server, limit };
    match error {
        ServiceError::McpError(error) if is_too_large(&error) => too_large(server, MOST_MESSAGE_BYTES),
        ServiceError::McpError(error) => McpError::Refused {
            server,
            message: tame(&error.message),
        },
        ServiceError::TransportSend(error) => match error.error.downcast_ref() {
            Some(LinkError::TooLarge(limit)) => too_large(server, *limit),
            _ => McpError::Broken {
                server,
                why: transport_failed(&error),
            },
        },
        ServiceError::UnexpectedResponse => McpError::Nonsense {
            server,
            why: "it is no result of a tool",
        },
        _ => McpError::Broken {
            server,
            why: blame.get().unwrap_or_else(|| LinkError::Closed.to_string()),
        },
    }
}
