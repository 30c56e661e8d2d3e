//! Channels: the API formats that we speak. What differs between them is decided here, as pure rules.

mod blame;
mod credentials;
mod demand;
mod error_body;
mod model_list;
pub(crate) mod multipart;
mod named_models;
mod path;
mod rest;
mod test_request;
mod told;

pub(crate) use blame::{Asked, Blame, blame};
pub(crate) use credentials::is_sendable;
pub(crate) use named_models::named_models;
pub(crate) use path::encoded;
pub(crate) use told::parsed_message;

/// An API format. A group speaks one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    OpenAi,
    OpenAiResponse,
    Gemini,
    Anthropic,
}

impl Channel {
    pub(crate) const ALL: [Self; 4] = [Self::OpenAi, Self::OpenAiResponse, Self::Gemini, Self::Anthropic];

    /// The name under which it is stored and shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiResponse => "openai-response",
            Self::Gemini => "gemini",
            Self::Anthropic => "anthropic",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }

    /// Where a key is tested when the group names no place of its own. Gemini's follows from the model.
    pub(crate) fn default_validation_endpoint(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1/chat/completions",
            Self::OpenAiResponse => "/v1/responses",
            Self::Gemini => "",
            Self::Anthropic => "/v1/messages",
        }
    }
}

#[cfg(test)]
mod golden;
