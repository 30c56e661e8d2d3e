//! Whose fault an upstream's answer is: by its status, and by what its body says where the status says too little.
//!
//! So that no client can have our keys taken out:
//! * A message may repeat what the client sent. A key is blamed by codes and by how a message begins, never by what stands
//!   somewhere in it; and where messages begin with the client's own words, by the sentence that they end with as well.
//! * A good key is refused where the client went to a place, or sent a header, that the key is not for.

use std::{ops::Deref, time::Duration};

use chrono::{DateTime, Utc};
use http::HeaderMap;

use super::{path, rest, told::Told};

/// How long a key rests that is over a limit when the upstream does not say for how long.
const REST_DEFAULT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The key is wrong, blocked or without credit.
    Key,
    /// The key is over a limit and serves again after a rest.
    KeyForNow(Duration),
    /// The request is: no other key would change the answer.
    Client,
    /// The provider, what stands in front of it, or the way there.
    Upstream,
}

/// What of the request was the client's choice, and can come back in a refusal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Raw, without the query.
    pub(crate) path: &'a str,
    /// Empty where none is known.
    pub(crate) model: &'a str,
}

/// Judges an answer that is not a success. `body` is decompressed, and may be the beginning of a longer one.
pub(crate) fn blame(asked: &Asked<'_>, status: u16, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Blame {
    let told = Answer { status, told: Told::by(body), model: asked.model.trim().to_lowercase() };
    if is_about_the_request(status, &told) {
        return Blame::Client;
    }
    if is_overloaded(&told) || is_about_the_place(status, &told) {
        return Blame::Upstream;
    }
    if is_over_a_limit(status, &told) {
        return Blame::KeyForNow(rest::asked_for(headers, &told, now).unwrap_or(REST_DEFAULT));
    }
    if is_administrative(asked.path) {
        return Blame::Client;
    }
    if is_about_the_key(&told) {
        return Blame::Key;
    }
    match status {
        // What speaks of the model, or of permission, is about what was asked for; the key serves other requests.
        401..=403 if told.names_the_model() || (status == 403 && told.contains(&["permission"])) => Blame::Client,
        401..=403 => Blame::Key,
        // 407 comes from a proxy on the way, 498 is Groq's lack of capacity.
        407 | 408 | 421 | 425 | 498 => Blame::Upstream,
        400..=499 | 501 | 505 => Blame::Client,
        _ => Blame::Upstream,
    }
}

/// What an upstream said, read with the suspicion that the client wrote it.
struct Answer {
    status: u16,
    told: Told,
    /// In lower case.
    model: String,
}

impl Deref for Answer {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.told
    }
}

impl Answer {
    /// Whether the upstream itself began its message so. A model's or a parameter's name stands at the beginning of what
    /// is said about it (`{name} is not a valid model ID`, `{name}: Extra inputs are not permitted`), under a status for
    /// malformed requests; sentences about accounts end with a full stop there.
    fn begins_with(&self, beginnings: &[&str]) -> bool {
        let is_a_sentence = matches!(self.status, 401..=403 | 429) || self.message.ends_with('.');
        let is_ours = |beginning: &&str| self.message.starts_with(*beginning) && !self.model.contains(*beginning);
        is_a_sentence && beginnings.iter().any(is_ours)
    }

    fn names_the_model(&self) -> bool {
        !self.model.is_empty() && self.message.contains(&self.model)
    }
}

/// Accounts, keys and bills are managed with keys of another kind.
fn is_administrative(path: &str) -> bool {
    const SEGMENTS: &[&str] =
        &["admin", "api_keys", "billing", "credits", "dashboard", "key", "keys", "organization", "organizations"];
    path::segments(path).any(|(_, segment)| SEGMENTS.contains(&path::decoded(segment).to_lowercase().as_str()))
}

fn is_about_the_request(status: u16, told: &Answer) -> bool {
    const CODES: &[&str] = &[
        "context_length_exceeded",
        "model_not_found",
        "model_not_supported",
        "model.accessdenied",
        "content_filter",
        "content_policy_violation",
        "datainspectionfailed",
        "data_inspection_failed",
        "moderation_blocked",
        // `OpenAI-Organization` and `OpenAI-Project`, `x-goog-user-project`: sent by the client.
        "invalid_organization",
        "mismatched_organization",
        "invalid_project",
        "mismatched_project",
        "user_project_denied",
        "consumer_invalid",
        // A place that this kind of key is not for.
        "missing_scope",
        "access_token_scope_insufficient",
    ];
    const PARTS: &[&str] = &[
        "maximum context length",
        "please reduce the length of the messages",
        "prompt is too long",
        "request too large for",
        "extra usage is required for long context",
        "your input was flagged",
        "is not a valid model id",
        "extra inputs are not permitted",
        "or fewer max_tokens",
        "prompt tokens limit exceeded",
        "header should match organization",
        "header should match project",
        // Anthropic, to whoever sends `Origin`.
        "cors requests",
        "insufficient permissions for this operation",
        "must be made with a session key",
        "only provisioning keys",
        "only management keys",
        "no available channel for model",
        "无可用渠道",
        // The credential did not arrive: the address or the channel of the group is wrong.
        "you didn't provide an api key",
        "method doesn't allow unregistered callers",
        "api keys are not supported by this api",
        "you do not have permission to access the file",
        "cachedcontent not found",
    ];
    // A refusal that speaks of a model means that model; the key serves others.
    told.has_code(CODES) || told.contains(PARTS) || (status == 403 && !told.is_html && told.contains(&["model"]))
}

fn is_overloaded(told: &Told) -> bool {
    const CODES: &[&str] =
        &["overloaded_error", "engine_overloaded_error", "server_overloaded", "serveroverloaded", "1305", "1312"];
    const PARTS: &[&str] = &[
        "is currently overloaded",
        "model is overloaded",
        "service is overloaded",
        "is temporarily rate-limited upstream",
        "当前访问量过大",
    ];
    told.has_code(CODES) || told.contains(PARTS)
}

/// The country that our address belongs to, or a firewall in front of the provider.
fn is_about_the_place(status: u16, told: &Told) -> bool {
    const PARTS: &[&str] =
        &["country, region, or territory not supported", "user location is not supported", "request not allowed"];
    told.has_code(&["unsupported_country_region_territory"])
        || (matches!(status, 400 | 403) && told.contains(PARTS))
        || (status == 403 && (told.is_html || told.starts_with(&["error code: 10"])))
}

fn is_over_a_limit(status: u16, told: &Answer) -> bool {
    const BEGINNINGS: &[&str] = &[
        "resource has been exhausted",
        "you have reached your specified api usage limits",
        // Alibaba gives its limits per minute the code of an empty account.
        "allocated quota exceeded",
    ];
    (status == 429 && !is_about_the_key(told))
        || told.begins_with(BEGINNINGS)
        || (told.has_code(&["resource_exhausted"]) && (400..500).contains(&status))
}

fn is_about_the_key(told: &Answer) -> bool {
    const CODES: &[&str] = &[
        "invalid_api_key",
        "invalidapikey",
        "api_key_invalid",
        "invalid_authentication_error",
        "account_deactivated",
        "account_suspended",
        "access_terminated",
        "organization_restricted",
        "consumer_suspended",
        "service_disabled",
        "api_key_service_blocked",
        "api_key_http_referrer_blocked",
        "api_key_ip_address_blocked",
        "insufficient_quota",
        "insufficient_user_quota",
        "insufficient_balance",
        "exceeded_current_quota_error",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "arrearage",
        "accountoverdueerror",
        // Zhipu's account without balance.
        "1113",
    ];
    const BEGINNINGS: &[&str] = &[
        "api key not valid",
        "api key expired",
        "api key not found",
        "incorrect api key provided",
        "invalid api key",
        "your api key was reported as leaked",
        "your credit balance is too low",
        "your account is not active",
        "this organization has been disabled",
        "gemini api free tier is not available in your country",
        "insufficient balance",
        "insufficient credits",
        "sorry, your account balance is insufficient",
    ];
    // xAI names the team between the two.
    let is_team_without_credit =
        told.begins_with(&["your newly created team", "your team "]) && told.contains(&[" credits"]);
    told.has_code(CODES) || told.begins_with(BEGINNINGS) || is_team_without_credit
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Blame = Blame::KeyForNow(REST_DEFAULT);

    #[track_caller]
    fn check(status: u16, body: &str, expected: Blame) {
        let asked = Asked { path: "/v1/chat/completions", model: "gpt-4o" };
        check_asked(&asked, status, body, expected);
    }

    #[track_caller]
    fn check_asked(asked: &Asked<'_>, status: u16, body: &str, expected: Blame) {
        let blamed = blame(asked, status, &HeaderMap::new(), body.as_bytes(), Utc::now());
        assert_eq!(blamed, expected, "{asked:?} {status} {body}");
    }

    /// An error as OpenAI and those who speak its format write it.
    fn openai(kind: &str, code: &str, message: &str) -> String {
        serde_json::json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
    }

    fn google(status: &str, reason: &str, message: &str) -> String {
        let details = serde_json::json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
        serde_json::json!({"error": {"code": 1, "message": message, "status": status, "details": details}}).to_string()
    }

    fn anthropic(kind: &str, message: &str) -> String {
        serde_json::json!({"type": "error", "error": {"type": kind, "message": message}}).to_string()
    }

    #[test]
    fn openai_answers() {
        check(
            401,
            &openai("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-a***b."),
            Blame::Key,
        );
        check(401, &openai("invalid_request_error", "account_deactivated", "The account is deactivated."), Blame::Key);
        check(
            401,
            &openai("", "", "You didn't provide an API key. You need to provide it in a header."),
            Blame::Client,
        );
        check(429, &openai("insufficient_quota", "insufficient_quota", "You exceeded your current quota."), Blame::Key);
        check(429, &openai("billing_not_active", "billing_not_active", "Your account is not active."), Blame::Key);
        check(400, &openai("invalid_request_error", "billing_hard_limit_reached", "Limit reached"), Blame::Key);
        check(
            429,
            &openai("requests", "rate_limit_exceeded", "Rate limit reached for gpt-4o on requests per min"),
            REST,
        );
        check(
            429,
            &openai("tokens", "rate_limit_exceeded", "Request too large for gpt-4o on TPM: Limit 1, Requested 2"),
            Blame::Client,
        );
        check(
            429,
            &openai("server_error", "", "The engine is currently overloaded, please try again later"),
            Blame::Upstream,
        );
        check(
            403,
            &openai(
                "request_forbidden",
                "unsupported_country_region_territory",
                "Country, region, or territory not supported",
            ),
            Blame::Upstream,
        );
        check(
            403,
            &openai("invalid_request_error", "model_not_found", "Project `p` does not have access to model `m`"),
            Blame::Client,
        );
        check(
            403,
            &openai("invalid_request_error", "", "You have insufficient permissions for this operation."),
            Blame::Client,
        );
        check(
            404,
            &openai("invalid_request_error", "model_not_found", "The model `gpt-9` does not exist"),
            Blame::Client,
        );
        check(
            400,
            &openai("invalid_request_error", "context_length_exceeded", "This model's maximum context length is 1"),
            Blame::Client,
        );
        check(
            400,
            &openai("invalid_request_error", "content_policy_violation", "Rejected by our safety system"),
            Blame::Client,
        );
        check(
            500,
            &openai("server_error", "", "The server had an error while processing your request"),
            Blame::Upstream,
        );
        check(503, &openai("server_error", "", "That model is currently overloaded"), Blame::Upstream);
    }

    #[test]
    fn gemini_answers() {
        check(
            400,
            &google("INVALID_ARGUMENT", "API_KEY_INVALID", "API key not valid. Please pass a valid API key."),
            Blame::Key,
        );
        check(
            400,
            &google("INVALID_ARGUMENT", "API_KEY_INVALID", "API key expired. Please renew the API key."),
            Blame::Key,
        );
        check(400, &format!("[{}]", google("INVALID_ARGUMENT", "API_KEY_INVALID", "API key not valid.")), Blame::Key);
        check(
            403,
            &google(
                "PERMISSION_DENIED",
                "CONSUMER_SUSPENDED",
                "Permission denied: Consumer 'api_key:x' has been suspended.",
            ),
            Blame::Key,
        );
        check(
            403,
            &google("PERMISSION_DENIED", "", "Your API key was reported as leaked. Please use another API key."),
            Blame::Key,
        );
        check(
            403,
            &google("PERMISSION_DENIED", "SERVICE_DISABLED", "Generative Language API has not been used in project 1."),
            Blame::Key,
        );
        check(
            403,
            &google("PERMISSION_DENIED", "", "You do not have permission to access the File x or it may not exist."),
            Blame::Client,
        );
        check(403, &google("PERMISSION_DENIED", "", "Method doesn't allow unregistered callers."), Blame::Client);
        check(
            401,
            &google(
                "UNAUTHENTICATED",
                "ACCESS_TOKEN_TYPE_UNSUPPORTED",
                "Request had invalid authentication credentials.",
            ),
            Blame::Key,
        );
        check(
            401,
            &google("UNAUTHENTICATED", "CREDENTIALS_MISSING", "API keys are not supported by this API."),
            Blame::Client,
        );
        check(
            400,
            &google("FAILED_PRECONDITION", "", "User location is not supported for the API use."),
            Blame::Upstream,
        );
        check(
            400,
            &google("FAILED_PRECONDITION", "", "Gemini API free tier is not available in your country."),
            Blame::Key,
        );
        check(400, &google("INVALID_ARGUMENT", "", "Unknown name \"x\": Cannot find field."), Blame::Client);
        check(404, &google("NOT_FOUND", "", "models/gemini-9 is not found for API version v1beta"), Blame::Client);
        check(429, &google("RESOURCE_EXHAUSTED", "", "You exceeded your current quota, please check your plan."), REST);
        check(429, &google("RESOURCE_EXHAUSTED", "", "Resource has been exhausted (e.g. check quota)."), REST);
        check(500, &google("INTERNAL", "", "An internal error has occurred."), Blame::Upstream);
        check(503, &google("UNAVAILABLE", "", "The model is overloaded. Please try again later."), Blame::Upstream);
        check(
            504,
            &google("DEADLINE_EXCEEDED", "", "Deadline expired before operation could complete."),
            Blame::Upstream,
        );
    }

    #[test]
    fn anthropic_answers() {
        check(401, &anthropic("authentication_error", "invalid x-api-key"), Blame::Key);
        check(
            403,
            &anthropic("permission_error", "Your API key does not have permission to use the resource."),
            Blame::Client,
        );
        check(403, &anthropic("forbidden", "Request not allowed"), Blame::Upstream);
        check(
            400,
            &anthropic("invalid_request_error", "Your credit balance is too low to access the API."),
            Blame::Key,
        );
        check(400, &anthropic("invalid_request_error", "This organization has been disabled."), Blame::Key);
        check(400, &anthropic("invalid_request_error", "You have reached your specified API usage limits."), REST);
        check(
            400,
            &anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            Blame::Client,
        );
        check(400, &anthropic("invalid_request_error", "max_tokens: Field required"), Blame::Client);
        check(402, &anthropic("billing_error", "Billing."), Blame::Key);
        check(404, &anthropic("not_found_error", "model: claude-9"), Blame::Client);
        check(413, &anthropic("request_too_large", "Request exceeds the maximum size"), Blame::Client);
        check(429, &anthropic("rate_limit_error", "This request would exceed your organization's rate limit"), REST);
        check(
            429,
            &anthropic("invalid_request_error", "Extra usage is required for long context requests."),
            Blame::Client,
        );
        check(500, &anthropic("api_error", "Internal server error"), Blame::Upstream);
        check(529, &anthropic("overloaded_error", "Overloaded"), Blame::Upstream);
    }

    #[test]
    fn answers_of_others() {
        // DeepSeek
        check(402, &openai("unknown_error", "invalid_request_error", "Insufficient Balance"), Blame::Key);
        check(
            401,
            &openai("authentication_error", "invalid_request_error", "Authentication Fails (no such user)"),
            Blame::Key,
        );
        // Groq
        check(
            400,
            &openai("invalid_request_error", "organization_restricted", "Organization has been restricted."),
            Blame::Key,
        );
        check(413, &openai("tokens", "rate_limit_exceeded", "Request too large for model `m` on TPM"), Blame::Client);
        check(498, "", Blame::Upstream);
        // xAI
        check(
            400,
            r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***."}"#,
            Blame::Key,
        );
        check(
            429,
            r#"{"code":"x","error":"Your team t has either used all available credits or reached its limit."}"#,
            Blame::Key,
        );
        // OpenRouter
        check(402, r#"{"error":{"code":402,"message":"Insufficient credits"}}"#, Blame::Key);
        check(403, r#"{"error":{"code":403,"message":"Moderation: your input was flagged for x"}}"#, Blame::Client);
        check(
            429,
            r#"{"error":{"code":429,"message":"m:free is temporarily rate-limited upstream"}}"#,
            Blame::Upstream,
        );
        // Moonshot
        check(
            429,
            &openai("exceeded_current_quota_error", "", "Your account is suspended, check your balance"),
            Blame::Key,
        );
        check(429, &openai("engine_overloaded_error", "", "The engine is busy"), Blame::Upstream);
        check(429, &openai("rate_limit_reached_error", "", "request reached max RPM: 3"), REST);
        // Zhipu
        check(429, r#"{"error":{"code":"1113","message":"余额不足或无可用资源包,请充值。"}}"#, Blame::Key);
        check(429, r#"{"error":{"code":"1302","message":"您当前使用该API的并发数过高"}}"#, REST);
        check(429, r#"{"error":{"code":"1305","message":"该模型当前访问量过大"}}"#, Blame::Upstream);
        // Alibaba, SiliconFlow, Volcengine
        check(
            400,
            r#"{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing."}"#,
            Blame::Key,
        );
        check(
            429,
            &openai("insufficient_quota", "insufficient_quota", "Allocated quota exceeded, please increase it."),
            REST,
        );
        check(403, r#"{"code":30001,"message":"Sorry, your account balance is insufficient","data":null}"#, Blame::Key);
        check(403, r#"{"code":30003,"message":"Model disabled.","data":null}"#, Blame::Client);
        check(403, r#"{"error":{"code":"AccountOverdueError","message":"The request failed."}}"#, Blame::Key);
        check(429, r#"{"error":{"code":"ServerOverloaded","message":"Busy."}}"#, Blame::Upstream);
        // Gateways built on one-api
        check(
            403,
            r#"{"error":{"code":"insufficient_user_quota","message":"额度不足","type":"new_api_error"}}"#,
            Blame::Key,
        );
        check(
            503,
            r#"{"error":{"message":"当前分组 default 下对于模型 m 无可用渠道","type":"new_api_error"}}"#,
            Blame::Client,
        );
    }

    #[test]
    fn what_stands_between_us_and_the_provider() {
        check(403, "<!DOCTYPE html><title>Attention Required! | Cloudflare model</title>", Blame::Upstream);
        check(403, "error code: 1020", Blame::Upstream);
        check(403, "", Blame::Key);
        check(401, "<html>401</html>", Blame::Key);
        check(502, "<html>Bad Gateway</html>", Blame::Upstream);
        check(429, "", REST);
        for status in [302, 407, 408, 500, 503, 520, 527, 530, 599, 999] {
            check(status, "", Blame::Upstream);
        }
        for status in [400, 404, 405, 409, 413, 415, 422, 451, 501] {
            check(status, "", Blame::Client);
        }
    }

    #[test]
    fn a_client_cannot_have_a_key_blamed() {
        check(404, &openai("invalid_request_error", "", "The model `API key not valid` does not exist"), Blame::Client);
        check(
            400,
            &openai("invalid_request_error", "invalid_value", "Invalid value: 'insufficient_quota'"),
            Blame::Client,
        );
        check(
            422,
            r#"{"detail":[{"msg":"bad","input":{"error":{"code":"invalid_api_key"},"code":"account_deactivated"}}]}"#,
            Blame::Client,
        );
    }

    /// Answers to requests that are wrong in a header or in their place, sent with good keys.
    #[test]
    fn a_good_key_is_not_blamed_for_a_clients_headers_or_endpoint() {
        let openai = |code: &str, message: &str| openai("invalid_request_error", code, message);
        for code in ["mismatched_organization", "mismatched_project", "invalid_organization"] {
            check(401, &openai(code, "the header and the key do not fit"), Blame::Client);
        }
        check(401, &openai("", "OpenAI-Organization header should match organization for API key"), Blame::Client);
        check(401, &openai("", "OpenAI-Project header should match project for API key"), Blame::Client);
        let scopes = "You have insufficient permissions for this operation. Missing scopes: api.responses.write.";
        check(401, &openai("", scopes), Blame::Client);
        check(403, &openai("missing_scope", "x"), Blame::Client);
        for message in [
            "CORS requests must set 'anthropic-dangerous-direct-browser-access' header",
            "CORS requests are not allowed for this Organization because of its settings.",
        ] {
            check(401, &anthropic("authentication_error", message), Blame::Client);
        }
        check(
            403,
            &google(
                "PERMISSION_DENIED",
                "USER_PROJECT_DENIED",
                "Caller does not have required permission to use project p.",
            ),
            Blame::Client,
        );
        check(
            403,
            &google("PERMISSION_DENIED", "CONSUMER_INVALID", "Permission denied on resource project p."),
            Blame::Client,
        );
        check(403, &google("PERMISSION_DENIED", "", "The caller does not have permission"), Blame::Client);
        check(
            402,
            r#"{"error":{"code":402,"message":"This request requires more credits, or fewer max_tokens. You requested up to 9 tokens, but can only afford 4."}}"#,
            Blame::Client,
        );
        for path in ["/v1/organizations/me", "/v1/organization/users", "/v1/dashboard/billing/usage", "/api/v1/%6Beys"]
        {
            let asked = Asked { path, model: "" };
            check_asked(&asked, 401, &anthropic("authentication_error", "invalid x-api-key"), Blame::Client);
            check_asked(
                &asked,
                401,
                &openai("invalid_api_key", "Incorrect API key provided: sk-a***b."),
                Blame::Client,
            );
        }
    }

    #[test]
    fn what_begins_with_the_clients_own_words_blames_no_key() {
        let model = "Incorrect API key provided";
        let asked = Asked { path: "/v1/chat/completions", model };
        for body in [
            format!(r#"{{"error":{{"code":400,"message":"{model} is not a valid model ID"}}}}"#),
            format!(r#"{{"error":{{"code":400,"message":"{model} is unknown."}}}}"#),
        ] {
            check_asked(&asked, 400, &body, Blame::Client);
        }
        // The same under another name than the one that was read, or where none could be read.
        let unread = Asked { path: "/v1/chat/completions", model: "" };
        check_asked(&unread, 400, r#"{"error":"Incorrect API key provided is not a valid model ID"}"#, Blame::Client);
        check_asked(&unread, 400, r#"{"error":"Incorrect API key provided: not there"}"#, Blame::Client);
        check(
            400,
            &anthropic("invalid_request_error", "This organization has been disabled.: Extra inputs are not permitted"),
            Blame::Client,
        );
        check(
            400,
            &anthropic("invalid_request_error", "Your credit balance is too low: Field required"),
            Blame::Client,
        );
        // A quoted model is what the refusal is about.
        let asked = Asked { path: "/v1/x", model: "Acme/Large" };
        check_asked(&asked, 403, r#"{"error":"acme/large is for subscribers"}"#, Blame::Client);
        check_asked(&asked, 403, r#"{"error":"forbidden"}"#, Blame::Key);
    }

    #[test]
    fn the_upstream_says_how_long_a_key_rests() {
        let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, http::HeaderValue::from_static("7"))]);
        let asked = Asked { path: "", model: "" };
        assert_eq!(blame(&asked, 429, &headers, b"", Utc::now()), Blame::KeyForNow(Duration::from_secs(7)));
        assert_eq!(blame(&asked, 503, &headers, b"", Utc::now()), Blame::Upstream);
    }
}
