//! `image_generation`: a picture from words, through an images endpoint of the owner's choice. Where the provider of the
//! conversation's model draws itself, its own tool of this name is offered instead.

use crate::{About, CallContext, Concurrency, Doorway, Output, Tool, ToolError};
use mira_core::{file::StoredFile, tool::Effect};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};

/// The longest description, in characters.
const PROMPT_CHARS: usize = 4_000;

/// What the tool needs of the rest of Mira.
pub trait ImageDoor: Send + Sync + 'static {
    /// Why nothing can be drawn here, if nothing can.
    fn unavailable(&self) -> Option<String>;

    /// Draws a picture and keeps it among the files.
    fn draw<'a>(&'a self, context: &'a CallContext, prompt: String, shape: Shape) -> Doorway<'a, Picture>;
}

/// How a picture lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// As wide as high.
    Square,
    /// Wider than high.
    Landscape,
    /// Higher than wide.
    Portrait,
}

/// A picture that was drawn and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub file: StoredFile,
    /// The words it was drawn from, where the server changed them.
    pub revised_prompt: Option<String>,
    /// Whether it has the shape that was asked for.
    pub shaped: bool,
}

/// The tool.
pub struct ImageGeneration(pub Arc<dyn ImageDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// What the picture shows, in detail: subject, style, light, composition.
    prompt: String,
    /// How it lies; null for square.
    shape: Option<Shape>,
}

impl Tool for ImageGeneration {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "image_generation",
            description: "Draws a picture from a description and shows it to the owner. Use it when they want to see \
                something. It costs money: one picture for one wish.",
            effect: Effect::Read,
            concurrency: Concurrency::Together,
            timeout: Duration::from_mins(5),
        }
    }

    fn unavailable(&self) -> Option<String> {
        self.0.unavailable()
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        let prompt = arguments.prompt.trim();
        if prompt.is_empty() {
            return Err(ToolError::Arguments("the prompt is empty".to_owned()));
        }
        if prompt.chars().count() > PROMPT_CHARS {
            let why = format!("the prompt is longer than {PROMPT_CHARS} characters");
            return Err(ToolError::Arguments(why));
        }
        let shape = arguments.shape.unwrap_or(Shape::Square);
        Ok(told(&self.0.draw(context, prompt.to_owned(), shape).await?))
    }
}

fn told(picture: &Picture) -> Output {
    let file = &picture.file;
    let mut text = format!(
        "the picture is drawn and shown to the owner: {} (file {})",
        file.name, file.id
    );
    if !picture.shaped {
        text.push_str("; the server chose its shape");
    }
    let mut data = Map::new();
    if let Some(prompt) = &picture.revised_prompt {
        text.push_str("; drawn from: ");
        text.push_str(prompt);
        data.insert("prompt".to_owned(), prompt.clone().into());
    }
    data.insert("files".to_owned(), Value::Array(vec![file_object(file)]));
    Output::new(text, Value::Object(data))
}

/// A file as a call's `data.files` shows it.
pub fn file_object(file: &StoredFile) -> Value {
    json!({ "id": file.id.to_string(), "name": file.name, "media_type": file.media_type, "size": file.size })
}
