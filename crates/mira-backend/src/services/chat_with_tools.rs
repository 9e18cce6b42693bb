//! Saying something from inside a program that uses Mira as a library: one value in, the stored reply out. It is the same
//! turn as every other, asked of the same hub; there is no second loop.

use crate::services::hub::{
    Hub,
    actor::{Accepted, Ask, Refusal},
};
use mira_core::{
    chat::{ChatRequest, Message, MessageMetadata},
    ids::{AccountId, ProjectId, SessionId},
    turn::Failure,
};

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The turn was not taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It failed. A partial reply may be stored.
    #[error("{}", .0.detail)]
    Failed(Failure),
    /// It ended without a reply: it was stopped, or its session was removed.
    #[error("the turn ended without a reply")]
    NoReply,
}

/// Who talks.
#[derive(Clone)]
pub struct ChatService {
    /// The live sessions.
    pub hub: Hub,
    /// For whom.
    pub account: AccountId,
}

/// Turns with tools, for callers in the same process.
pub trait ChatServiceToolExt {
    /// Says something in a session and waits for the reply, which holds the calls made on the way to it and the citations.
    /// Calls that wait for the owner's word hold it up until the word comes or their time is over. Dropped, the turn goes
    /// on.
    fn chat_with_tools(
        &self,
        session: &SessionId,
        message: &str,
        project: Option<ProjectId>,
        file_context: Option<MessageMetadata>,
    ) -> impl Future<Output = Result<Message, ChatError>> + Send;
}

impl ChatServiceToolExt for ChatService {
    async fn chat_with_tools(
        &self,
        session: &SessionId,
        message: &str,
        project: Option<ProjectId>,
        file_context: Option<MessageMetadata>,
    ) -> Result<Message, ChatError> {
        let live = self.hub.live(self.account, session).await.map_err(Refusal::from)?;
        let live = live.ok_or(Refusal::NoSuchSession)?;
        let request = ChatRequest {
            content: message.to_owned(),
            project_id: project,
            client_id: None,
            persona: None,
            parent_id: None,
            file_ids: Vec::new(),
            tz: None,
            metadata: file_context,
        };
        match self.hub.ask(&live, Ask::Send(request)).await? {
            Accepted::Turn { end, .. } => {
                let end = end.await.map_err(|_| Refusal::ShuttingDown)?;
                match (end.failure, end.reply) {
                    (Some(failure), _) => Err(ChatError::Failed(failure)),
                    (None, Some(reply)) => Ok(*reply),
                    (None, None) => Err(ChatError::NoReply),
                }
            }
            // Only a repeated `client_id` is answered without a turn, and there is none.
            Accepted::Duplicate { reply, .. } => reply.map(|reply| *reply).ok_or(ChatError::NoReply),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::hub::rig::Rig;
    use futures_util::{StreamExt, stream};
    use mira_core::{
        chat::MessageStatus,
        clock::{Clock, SystemClock},
        model::ModelEvent,
        tool::{AskedCall, AskedCalls, CallStatus},
    };

    #[tokio::test]
    async fn a_caller_gets_the_reply_of_an_ordinary_turn() {
        let calls = vec![AskedCall {
            call_id: "call_1".to_owned(),
            name: "recall".to_owned(),
            arguments: r#"{"question":"lamps","limit":null}"#.to_owned(),
        }];
        let asked = AskedCalls {
            calls,
            ..AskedCalls::default()
        };
        let looks_something_up = stream::iter([Ok(ModelEvent::Calls(Box::new(asked)))]).boxed();
        let rig = Rig::open([looks_something_up]).await;
        let account = AccountId::OWNER;
        let service = ChatService {
            hub: rig.hub.clone(),
            account,
        };
        let place = MessageMetadata {
            file_path: Some("src/lamp.rs".to_owned()),
            ..MessageMetadata::default()
        };
        let session = &rig.config.chat.session_id;
        let reply = service
            .chat_with_tools(session, "What do we know of lamps?", None, Some(place.clone()))
            .await
            .unwrap();
        assert_eq!(reply.status, MessageStatus::Complete);
        let outcome = reply.tool_calls[0].outcome.as_ref().unwrap();
        assert_eq!(
            (reply.tool_calls[0].tool.as_str(), outcome.status),
            ("recall", CallStatus::Ok)
        );
        let asked = rig.store.find_message(account, reply.parent_id.unwrap()).await;
        assert_eq!(asked.unwrap().unwrap().metadata, Some(place));

        let nowhere = "nowhere".parse().unwrap();
        let refused = service.chat_with_tools(&nowhere, "Hello?", None, None).await;
        assert!(
            matches!(refused, Err(ChatError::Refused(Refusal::NoSuchSession))),
            "{refused:?}"
        );
        let project = Some(ProjectId(SystemClock.new_uuid()));
        let refused = service.chat_with_tools(session, "Hello?", project, None).await;
        assert!(
            matches!(refused, Err(ChatError::Refused(Refusal::NoSuchProject))),
            "{refused:?}"
        );
        drop(service);
        rig.end().await;
    }
}
