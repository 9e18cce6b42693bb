//! What a model takes, by the family its name belongs to. Names of no known family take everything, as a local
//! server's would.

use serde_json::Value;

use super::Verdict;
use super::shape;
use crate::error::ApiError;

/// A family of models that take the same parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Reasoning models with their efforts.
    Reasoning(&'static [&'static str]),
    /// Models that do not reason.
    Plain,
    /// Any other name.
    Unknown,
}

const EVERY_EFFORT: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

impl Family {
    pub(super) fn of(model: &str) -> Self {
        let starts = |prefix: &str| model.starts_with(prefix);
        if starts("gpt-4") || starts("gpt-3.5") || starts("gpt-5-chat") {
            Self::Plain
        } else if starts("gpt-5.1") {
            Self::Reasoning(&["none", "low", "medium", "high"])
        } else if starts("gpt-5.2") {
            Self::Reasoning(&["none", "low", "medium", "high", "xhigh"])
        } else if starts("gpt-5.") || starts("gpt-6") {
            Self::Reasoning(EVERY_EFFORT)
        } else if starts("gpt-5") {
            Self::Reasoning(&["minimal", "low", "medium", "high"])
        } else if starts("o1") || starts("o3") || starts("o4") {
            Self::Reasoning(&["low", "medium", "high"])
        } else {
            Self::Unknown
        }
    }

    /// Whether sampling parameters are refused: by reasoning models, unless they are told not to reason.
    fn refuses_sampling(self, effort: Option<&str>) -> bool {
        matches!(self, Self::Reasoning(_)) && effort != Some("none")
    }
}

fn unsupported_parameter(param: &str) -> ApiError {
    ApiError::invalid(
        param,
        format!("Unsupported parameter: '{param}' is not supported with this model."),
    )
    .code("unsupported_parameter")
}

/// A value this model does not take although others do.
fn unsupported_value(param: &str, model: &str, got: &str, supported: &[&str]) -> ApiError {
    let list = supported
        .iter()
        .map(|value| format!("'{value}'"))
        .collect::<Vec<_>>()
        .join(", ");
    let message =
        format!("Unsupported value: '{got}' is not supported with the '{model}' model. Supported values are: {list}.");
    ApiError::invalid(param, message).code("unsupported_value")
}

/// An effort must exist, and this model must take it.
pub(super) fn effort(model: &str, value: &Value, parent: &str, key: &str) -> Result<(), ApiError> {
    shape::one_of(value, parent, key, EVERY_EFFORT)?;
    let Some(effort) = shape::string(value, parent, key)? else {
        return Ok(());
    };
    let param = shape::path(parent, key);
    match Family::of(model) {
        Family::Reasoning(taken) if !taken.contains(&effort) => Err(unsupported_value(&param, model, effort, taken)),
        Family::Plain => Err(unsupported_parameter(&param)),
        Family::Reasoning(_) | Family::Unknown => Ok(()),
    }
}

/// Verbosity must exist; models that do not reason know only the middle one.
pub(super) fn verbosity(model: &str, value: &Value, parent: &str, key: &str) -> Verdict {
    shape::one_of(value, parent, key, &["low", "medium", "high"])?;
    match (Family::of(model), shape::string(value, parent, key)?) {
        (Family::Plain, Some(got)) if got != "medium" => {
            Err(unsupported_value(&shape::path(parent, key), model, got, &["medium"]))
        }
        _ => Ok(()),
    }
}

/// Sampling parameters: none for reasoning models, and within their ranges for the others.
pub(super) fn sampling(model: &str, body: &Value, effort: Option<&str>) -> Verdict {
    let refused = Family::of(model).refuses_sampling(effort);
    let keys = [
        "temperature",
        "top_p",
        "logprobs",
        "top_logprobs",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
    ];
    if let Some(key) = keys
        .into_iter()
        .find(|key| refused && shape::given(body, key).is_some())
    {
        return Err(unsupported_parameter(key));
    }
    shape::decimal(body, "temperature", 0.0, 2.0)?;
    shape::decimal(body, "top_p", 0.0, 1.0)?;
    shape::decimal(body, "frequency_penalty", -2.0, 2.0)?;
    shape::decimal(body, "presence_penalty", -2.0, 2.0)?;
    shape::integer(body, "", "top_logprobs", 0, 20)
}

/// Encrypted reasoning exists only where there is reasoning.
pub(super) fn encrypted_reasoning(model: &str, param: &str) -> Verdict {
    if Family::of(model) == Family::Plain {
        return Err(ApiError::invalid(
            param,
            "Encrypted content is not supported with this model.",
        ));
    }
    Ok(())
}

/// `max_tokens` is the old name; reasoning models refuse it.
pub(super) fn max_tokens(model: &str, body: &Value) -> Verdict {
    let reasons = matches!(Family::of(model), Family::Reasoning(_));
    if reasons && shape::given(body, "max_tokens").is_some() {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                       'max_completion_tokens' instead.";
        return Err(ApiError::invalid("max_tokens", message).code("unsupported_parameter"));
    }
    Ok(())
}
