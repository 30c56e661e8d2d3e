//! Files on their way up: multipart forms, and Gemini's resumable uploads. Answers carry the hash of what arrived.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Answer, Memory, Request, error, not_found};

/// A resumable upload that was started.
#[derive(Default)]
pub(crate) struct Upload {
    bytes: u64,
    hash: Sha256,
    display_name: String,
    mime_type: String,
}

/// The file in a multipart form.
struct FilePart<'a> {
    filename: String,
    mime_type: String,
    content: &'a [u8],
}

pub(super) fn openai_file(request: &Request) -> Answer {
    let Some(file) = file_part(request) else { return error(request, 400) };
    let hash = hex::encode(Sha256::digest(file.content));
    let body = json!({
        "id": format!("file-{}", &hash[..12]), "object": "file", "bytes": file.content.len(),
        "created_at": 1_700_000_000, "filename": file.filename, "purpose": "user_data", "status": "processed",
        "sha256": hash,
    });
    Answer::json(200, &body)
}

pub(super) fn anthropic_file(request: &Request) -> Answer {
    let Some(file) = file_part(request) else { return error(request, 400) };
    let hash = hex::encode(Sha256::digest(file.content));
    let body = json!({
        "id": format!("file_{}", &hash[..12]), "type": "file", "filename": file.filename, "mime_type": file.mime_type,
        "size_bytes": file.content.len(), "created_at": "2025-01-01T00:00:00Z", "downloadable": false, "sha256": hash,
    });
    Answer::json(200, &body)
}

/// Start, pieces and end of a resumable upload, told apart by `X-Goog-Upload-Command`.
pub(super) fn gemini_file(request: &Request, memory: &Memory) -> Answer {
    let head = &request.head;
    let command = head.header("x-goog-upload-command").unwrap_or_default();
    if command.contains("start") {
        let described: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        // Google takes both spellings, and its SDKs use both.
        let text = |name: &str, other: &str| {
            let file = &described["file"];
            file[name].as_str().or_else(|| file[other].as_str()).unwrap_or_default().to_owned()
        };
        let mime_type = head.header("x-goog-upload-header-content-type").map(str::to_owned);
        let mime_type = mime_type.unwrap_or_else(|| text("mimeType", "mime_type"));
        let mut uploads = memory.uploads();
        let id = format!("mock-{}", uploads.len());
        uploads.insert(
            id.clone(),
            Upload { display_name: text("displayName", "display_name"), mime_type, ..Upload::default() },
        );
        let address = head.header("host").unwrap_or_default();
        let url = format!("http://{address}{}?upload_id={id}&upload_protocol=resumable", head.path());
        return Answer::json(200, &json!({})).with("X-Goog-Upload-Status", "active").with("X-Goog-Upload-URL", &url);
    }
    let mut uploads = memory.uploads();
    let Some(upload) = head.query("upload_id").and_then(|id| uploads.get_mut(&id)) else { return not_found(request) };
    let offset = head.header("x-goog-upload-offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    if offset != upload.bytes {
        return error(request, 400);
    }
    upload.bytes += request.body_bytes;
    upload.hash.update(&request.body);
    if !command.contains("finalize") {
        return Answer::json(200, &json!({})).with("X-Goog-Upload-Status", "active");
    }
    let hash = upload.hash.clone().finalize();
    let mut file = file_object(&hex::encode(hash)[..12]);
    file["displayName"] = upload.display_name.as_str().into();
    file["mimeType"] = upload.mime_type.as_str().into();
    file["sizeBytes"] = upload.bytes.to_string().into();
    file["sha256Hash"] = BASE64.encode(hex::encode(hash)).into();
    Answer::json(200, &json!({ "file": file })).with("X-Goog-Upload-Status", "final")
}

pub(super) fn gemini_file_found(name: &str) -> Answer {
    Answer::json(200, &file_object(name))
}

fn file_object(name: &str) -> Value {
    json!({
        "name": format!("files/{name}"), "uri": format!("https://mock.invalid/v1beta/files/{name}"), "state": "ACTIVE",
        "createTime": "2025-01-01T00:00:00Z", "updateTime": "2025-01-01T00:00:00Z", "source": "UPLOADED",
    })
}

/// Finds the part that carries a file name.
fn file_part(request: &Request) -> Option<FilePart<'_>> {
    let (_, boundary) = request.head.header("content-type")?.split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim_matches('"');
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = &request.body[..];
    loop {
        // The first delimiter opens the body and has no line break before it.
        let opening = memchr::memmem::find(rest, &delimiter.as_bytes()[2..])? + delimiter.len() - 2;
        rest = &rest[opening..];
        let head_end = memchr::memmem::find(rest, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&rest[..head_end]).into_owned();
        let content = &rest[head_end + 4..];
        let content = &content[..memchr::memmem::find(content, delimiter.as_bytes())?];
        if let Some((_, filename)) = head.split_once("filename=\"") {
            let filename = filename.split('"').next()?.to_owned();
            let line = |line: &&str| line.to_ascii_lowercase().starts_with("content-type:");
            let mime_type = head.lines().find(line).map_or("", |line| line[13..].trim()).to_owned();
            return Some(FilePart { filename, mime_type, content });
        }
        rest = &rest[head_end + 4 + content.len()..];
    }
}
