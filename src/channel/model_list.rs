//! A list of models, to which a group's own names for models are added, or in which only those are left.

use serde_json::json;

use super::Channel;
use crate::json;

/// The form of a list, told by the answer itself: who speaks a channel's format may list models in another's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    OpenAi,
    Anthropic,
    Gemini,
}

/// The query parameters by which clients ask for a page behind, or before, one that they have.
const PAGE_PARAMETERS: [&str; 5] = ["after", "after_id", "before_id", "pageToken", "page_token"];

impl Channel {
    /// The upstream's list with these models in it, edited in place; with `strict` they are all that is in it. Only the
    /// first page has them. `None`: the body is to be passed on as it is.
    pub(crate) fn merge_model_list<'a>(
        self,
        body: &[u8],
        models: impl Iterator<Item = &'a str>,
        strict: bool,
        query: Option<&str>,
    ) -> Option<Vec<u8>> {
        let (form, list) = self.find_list(body)?;
        let present = if strict { Vec::new() } else { names_in(list, form) };
        let mut added: Vec<&str> = Vec::new();
        for model in models.filter(|_| is_first_page(query)).map(|model| self.bare(model)) {
            if !added.contains(&model) && !present.iter().any(|present| self.bare(present) == model) {
                added.push(model);
            }
        }
        if !strict && added.is_empty() {
            return None;
        }
        let entries: Vec<String> = added.iter().map(|model| entry(form, model)).collect();
        let longer = json::append(if strict { b"[]" } else { list }, entries.iter().map(String::as_str));
        let mut changes = vec![(form.name_of_list(), String::from_utf8(longer).ok()?)];
        if form == Form::Anthropic {
            changes.extend(cursors(body, &added, strict, present.is_empty()));
        }
        let changes: Vec<(&str, &str)> = changes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let merged = json::edit(body, &changes)?;
        if strict && form == Form::Gemini { json::remove(&merged, "nextPageToken") } else { Some(merged) }
    }

    fn find_list(self, body: &[u8]) -> Option<(Form, &[u8])> {
        let members = json::top_level(body, &["models", "data", "object", "has_more", "last_id"])?;
        let array = |value: Option<&'_ [u8]>| value.is_some_and(|value| value.starts_with(b"["));
        if self == Self::Gemini && array(members[0]) {
            return members[0].map(|list| (Form::Gemini, list));
        }
        let is_paged = members[3].is_some() && members[4].is_some();
        let is_anthropic = members[2].is_none() && (self == Self::Anthropic || is_paged);
        let form = if is_anthropic { Form::Anthropic } else { Form::OpenAi };
        members[1].filter(|_| array(members[1])).map(|list| (form, list))
    }

    /// A model's name as it is compared: Gemini's come with and without `models/`.
    fn bare(self, model: &str) -> &str {
        if self == Self::Gemini { model.strip_prefix("models/").unwrap_or(model) } else { model }
    }
}

impl Form {
    fn name_of_list(self) -> &'static str {
        if self == Self::Gemini { "models" } else { "data" }
    }
}

fn is_first_page(query: Option<&str>) -> bool {
    let names_a_page = |pair: &str| {
        pair.split_once('=').is_some_and(|(name, value)| PAGE_PARAMETERS.contains(&name) && !value.is_empty())
    };
    !query.is_some_and(|query| query.split('&').any(names_a_page))
}

fn names_in(list: &[u8], form: Form) -> Vec<String> {
    let name = if form == Form::Gemini { "name" } else { "id" };
    let name_of = |entry: &[u8]| json::string(json::top_level(entry, &[name])?[0]?);
    json::elements(list).unwrap_or_default().into_iter().filter_map(name_of).collect()
}

fn entry(form: Form, model: &str) -> String {
    match form {
        Form::OpenAi => json!({"id": model, "object": "model", "created": 0, "owned_by": "system"}),
        Form::Anthropic => {
            // The epoch is what Anthropic itself gives where the date is not known.
            json!({"type": "model", "id": model, "display_name": model, "created_at": "1970-01-01T00:00:00Z"})
        }
        Form::Gemini => json!({
            "name": format!("models/{model}"),
            "displayName": model,
            "supportedGenerationMethods": ["generateContent"],
        }),
    }
    .to_string()
}

/// Anthropic's paging members, as they are right for the longer list.
fn cursors(body: &[u8], added: &[&str], strict: bool, was_empty: bool) -> Vec<(&'static str, String)> {
    let quoted = |model: Option<&&str>| model.map_or_else(|| "null".to_owned(), |model| json::quoted(model));
    let mut changes = Vec::new();
    if strict {
        changes.push(("has_more", "false".to_owned()));
    }
    if strict || was_empty {
        changes.push(("first_id", quoted(added.first())));
    }
    // With more pages to come the last id is where the upstream goes on: it must be one that the upstream knows.
    let has_more = json::top_level(body, &["has_more"]).is_some_and(|members| members[0] == Some(b"true"));
    if strict || !has_more {
        changes.push(("last_id", quoted(added.last())));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"object":"list","data":[{"id":"gpt-4o","created":1.0}]}"#;

    #[track_caller]
    fn check(channel: Channel, body: &str, models: &[&str], strict: bool, query: Option<&str>, expected: Option<&str>) {
        let merged = channel.merge_model_list(body.as_bytes(), models.iter().copied(), strict, query);
        assert_eq!(merged.as_deref().map(|merged| std::str::from_utf8(merged).unwrap()), expected);
    }

    #[test]
    fn a_list_to_which_nothing_is_added_is_passed_on() {
        check(Channel::OpenAi, LIST, &["gpt-4o"], false, None, None);
        check(Channel::OpenAi, LIST, &[], false, None, None);
        check(Channel::OpenAi, LIST, &["fast"], false, Some("limit=1&after=gpt-4o"), None);
        check(Channel::Gemini, r#"{"models":[]}"#, &["fast"], false, Some("pageToken=t"), None);
    }

    #[test]
    fn what_is_no_list_is_passed_on() {
        for body in ["null", "[]", "<html>", "{}", r#"{"data":{}}"#, r#"{"models":[]}"#] {
            check(Channel::OpenAi, body, &["fast"], true, None, None);
        }
        check(Channel::Gemini, r#"{"models":1}"#, &["fast"], true, None, None);
    }

    #[test]
    fn strict_leaves_nothing_where_nothing_is_configured() {
        check(Channel::OpenAi, r#"{"data":[{"id":"a"}],"x":1.0}"#, &[], true, None, Some(r#"{"data":[],"x":1.0}"#));
        let last_page = r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#;
        let page = r#"{"data":[{"id":"a"}],"has_more":true,"first_id":"a","last_id":"a"}"#;
        check(Channel::Anthropic, page, &["a"], true, Some("after_id=a"), Some(last_page));
    }

    #[test]
    fn an_empty_page_parameter_is_the_first_page() {
        let expected =
            r#"{"models":[{"name":"models/a","displayName":"a","supportedGenerationMethods":["generateContent"]}]}"#;
        check(Channel::Gemini, r#"{"models":[]}"#, &["models/a", "a"], false, Some("pageToken="), Some(expected));
    }

    #[test]
    fn more_pages_go_on_where_the_upstream_knows() {
        let body = r#"{"data":[{"id":"a"}],"has_more":true,"first_id":"a","last_id":"a"}"#;
        let merged = Channel::Anthropic.merge_model_list(body.as_bytes(), ["b"].into_iter(), false, None).unwrap();
        let merged: serde_json::Value = serde_json::from_slice(&merged).unwrap();
        assert_eq!((&merged["last_id"], &merged["data"][1]["id"]), (&json!("a"), &json!("b")));
    }

    #[test]
    fn the_form_is_that_of_the_answer() {
        let entry = |channel: Channel, body: &str| {
            let merged = channel.merge_model_list(body.as_bytes(), ["b"].into_iter(), false, None).unwrap();
            serde_json::from_slice::<serde_json::Value>(&merged).unwrap()["data"][0].clone()
        };
        assert_eq!(entry(Channel::Anthropic, r#"{"object":"list","data":[]}"#)["object"], "model");
        assert_eq!(entry(Channel::OpenAi, r#"{"data":[],"has_more":false,"last_id":null}"#)["type"], "model");
        assert_eq!(entry(Channel::Gemini, r#"{"data":[]}"#)["owned_by"], "system");
    }
}
