//! Groups as callers write them.

use serde_json::value::RawValue;

use crate::{
    api::{
        body::{Fields, FromFields, Misread},
        document::{
            Shape,
            shape::{
                channel_type, config, flag, free_object, integer, like, list_of, one_of, redirects, some_text, text,
                text_up_to, time, upstreams,
            },
        },
    },
    group::{
        DESCRIPTION_CHARACTERS_MAX, DISPLAY_NAME_CHARACTERS_MAX, ENDPOINT_CHARACTERS_MAX, GroupPatch, HeaderRuleText,
        MODEL_CHARACTERS_MAX, NewGroup, PROXY_KEYS_CHARACTERS_MAX,
    },
};

impl FromFields for NewGroup {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        let text = |name| Ok::<_, Misread>(fields.text(name)?.unwrap_or_default());
        Ok(Self {
            name: text("name")?,
            display_name: text("display_name")?,
            description: text("description")?,
            proxy_keys: text("proxy_keys")?,
            group_type: text("group_type")?,
            channel_type: text("channel_type")?,
            upstreams: fields.raw("upstreams").map(RawValue::to_owned),
            test_model: text("test_model")?,
            validation_endpoint: text("validation_endpoint")?,
            sort: fields.integer("sort")?.unwrap_or_default(),
            param_overrides: fields.object("param_overrides")?.map(RawValue::to_owned),
            config: fields.object("config")?.map(RawValue::to_owned),
            header_rules: fields.list("header_rules")?.unwrap_or_default(),
            model_redirect_rules: fields.text_map("model_redirect_rules")?.unwrap_or_default(),
            model_redirect_strict: fields.flag("model_redirect_strict")?.unwrap_or_default(),
        })
    }

    fn shape() -> Shape {
        let kind =
            "standard (the default) has keys and upstreams of its own; aggregate shares requests among its members";
        let upstreams_of = "Where requests go; a standard group needs one at least, an aggregate group none";
        let model = "The model that tests of keys ask for; a standard group needs one";
        Shape::default()
            .needed("name", name(), "Part of the address that clients use; no other group has it")
            .optional("group_type", one_of(&["standard", "aggregate"]), kind)
            .needed("channel_type", channel_type(), "The API format that the group speaks")
            .optional("upstreams", upstreams(), upstreams_of)
            .optional("test_model", like(text_up_to(MODEL_CHARACTERS_MAX), "gpt-4.1-nano"), model)
            .with_what_both_may_say()
    }
}

impl Shape {
    fn with_what_both_may_say(self) -> Self {
        let overrides = "Members that are merged into every JSON body (JSON Merge Patch); {} clears";
        let strict = "Whether models without a redirect are refused";
        let endpoint = "The path that tests of keys ask; empty means the usual one of the channel type";
        self.optional("display_name", text_up_to(DISPLAY_NAME_CHARACTERS_MAX), "The name that people see")
            .optional("description", text_up_to(DESCRIPTION_CHARACTERS_MAX), "A remark")
            .optional("proxy_keys", text_up_to(PROXY_KEYS_CHARACTERS_MAX), "Keys for clients, separated by commas")
            .optional("validation_endpoint", text_up_to(ENDPOINT_CHARACTERS_MAX), endpoint)
            .optional("sort", integer(0, i64::MAX), "Its place among the groups, lowest first")
            .optional("param_overrides", free_object(), overrides)
            .optional("config", config(), "Settings that differ for this group; {} clears")
            .optional("header_rules", list_of::<HeaderRuleText>(), "Headers that are set or removed; [] clears")
            .optional("model_redirect_rules", redirects(), "What models are called here and upstream; {} clears")
            .optional("model_redirect_strict", flag(), strict)
    }
}

fn name() -> serde_json::Value {
    like(serde_json::json!({"type": "string", "pattern": "^[a-z0-9_-]{1,100}$"}), "team")
}

impl FromFields for GroupPatch {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        // The kind of a group never changes; that it is sent along anyway is fine, if it is a text.
        fields.text("group_type")?;
        Ok(Self {
            name: fields.text("name")?,
            display_name: fields.text("display_name")?,
            description: fields.text("description")?,
            proxy_keys: fields.text("proxy_keys")?,
            channel_type: fields.text("channel_type")?,
            upstreams: fields.raw("upstreams").map(RawValue::to_owned),
            test_model: fields.text("test_model")?,
            validation_endpoint: fields.text("validation_endpoint")?,
            sort: fields.integer("sort")?,
            param_overrides: fields.object("param_overrides")?.map(RawValue::to_owned),
            config: fields.object("config")?.map(RawValue::to_owned),
            header_rules: fields.list("header_rules")?,
            model_redirect_rules: fields.text_map("model_redirect_rules")?,
            model_redirect_strict: fields.flag("model_redirect_strict")?,
            expected_updated_at: fields.time("expected_updated_at")?,
        })
    }

    fn shape() -> Shape {
        let model = "The model that tests of keys ask for; an empty text leaves it as it is";
        let expected = "The group's `updated_at` as the caller saw it; if it is another one by now, nothing is changed";
        Shape::default()
            .optional("name", name(), "Part of the address that clients use; no other group has it")
            .optional("group_type", text(), "Ignored: the kind of a group never changes")
            .optional("channel_type", channel_type(), "The API format; ignored for an aggregate group")
            .optional("upstreams", upstreams(), "Where requests go")
            .optional("test_model", like(text_up_to(MODEL_CHARACTERS_MAX), "gpt-4.1-nano"), model)
            .optional("expected_updated_at", time(), expected)
            .with_what_both_may_say()
    }
}

impl FromFields for HeaderRuleText {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        let text = |name| Ok::<_, Misread>(fields.text(name)?.unwrap_or_default());
        Ok(Self { key: text("key")?, value: text("value")?, action: text("action")? })
    }

    fn shape() -> Shape {
        let value = "May contain ${CLIENT_IP}, ${GROUP_NAME}, ${API_KEY}, ${TIMESTAMP_MS} and ${TIMESTAMP_S}";
        Shape::default().needed("key", some_text(), "The header's name").optional("value", text(), value).needed(
            "action",
            one_of(&["set", "remove"]),
            "What happens to the header",
        )
    }
}
