//! Groups as callers write them.

use serde_json::value::RawValue;

use crate::{
    api::body::{Fields, FromFields, Misread},
    group::{GroupPatch, HeaderRuleText, NewGroup},
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
        })
    }
}

impl FromFields for HeaderRuleText {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        let text = |name| Ok::<_, Misread>(fields.text(name)?.unwrap_or_default());
        Ok(Self { key: text("key")?, value: text("value")?, action: text("action")? })
    }
}
