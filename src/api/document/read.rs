//! GET /api/openapi.json: the document itself.

use super::text;
use crate::api::answer::{Content, Sent};

pub(in crate::api) struct Document;

impl Content for Document {
    const TYPE: &'static str = "application/json; charset=utf-8";
    const DESCRIPTION: &'static str = "An OpenAPI 3.1 document";
}

pub(in crate::api) async fn read() -> Sent<Document> {
    Sent::new(text())
}
