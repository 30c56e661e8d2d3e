//! Which address gets which file, in which form, with which headers.

use super::*;

const FILES: &[File] = &[
    File { path: "/index.html", plain: b"<!doctype html>", brotli: Some(b"br-page"), gzip: Some(b"gz-page") },
    File { path: "/theme.js", plain: b"theme", brotli: None, gzip: None },
    File { path: "/assets/main-Ab12.js", plain: b"script", brotli: Some(b"br"), gzip: Some(b"gz") },
];
/// As a browser asks for a page.
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

fn ask(
    files: &'static [File],
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Option<Response<Bytes>> {
    let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
    Console::of(files).answer(&method, path, &headers.collect())
}

fn get(path: &str, headers: &[(&'static str, &str)]) -> Response<Bytes> {
    ask(FILES, Method::GET, path, headers).unwrap_or_else(|| panic!("{path} is not the console's"))
}

fn header<'r>(response: &'r Response<Bytes>, name: &str) -> Option<&'r str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn every_view_is_the_page() {
    for path in ["/", "/index.html", "/groups", "/groups/12/keys", "/apiary", "/assets", "/a.js"] {
        let page = get(path, &[HTML]);
        assert_eq!((page.status(), &page.body()[..]), (StatusCode::OK, &b"<!doctype html>"[..]), "{path}");
        assert_eq!(header(&page, "content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(header(&page, "cache-control"), Some("no-cache"));
        assert_eq!(header(&page, "content-length"), Some("15"));
        assert_eq!(header(&page, "vary"), Some("Accept, Accept-Encoding"));
    }
    // Whoever asks for the root with a tool wants to see what is there.
    assert_eq!(get("/", &[]).status(), StatusCode::OK);
}

#[test]
fn what_is_not_for_the_console_is_left_to_others() {
    for path in
        ["/api", "/api/", "/api/nothing", "/proxy/g/v1/x", "/health", "/health/x", "/ready", "/metrics", "//api"]
    {
        assert!(ask(FILES, Method::GET, path, &[HTML]).is_none(), "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        assert!(ask(FILES, method, "/", &[HTML]).is_none());
    }
    // A program that has lost its way must not take a page for its answer.
    for accept in ["*/*", "application/json", "image/*", "text/html;q=0"] {
        assert!(ask(FILES, Method::GET, "/v1/models", &[("accept", accept)]).is_none(), "{accept}");
    }
    assert!(ask(FILES, Method::GET, "/v1/models", &[]).is_none());
}

#[test]
fn a_script_that_is_gone_is_not_found_and_no_page() {
    for path in ["/assets/main-Old1.js", "/assets/", "/assets/main-Ab12.js.br"] {
        let gone = get(path, &[HTML]);
        assert_eq!(
            (gone.status(), header(&gone, "cache-control")),
            (StatusCode::NOT_FOUND, Some("no-store")),
            "{path}"
        );
        assert_eq!(header(&gone, "content-type"), Some("text/plain; charset=utf-8"));
    }
}

#[test]
fn hashed_files_are_kept_and_others_asked_for_again() {
    let script = get("/assets/main-Ab12.js", &[("if-none-match", "*")]);
    assert_eq!(header(&script, "cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!((script.status(), header(&script, "etag")), (StatusCode::OK, None));

    let first = get("/", &[HTML, ("accept-encoding", "gzip")]);
    let tag = header(&first, "etag").unwrap();
    for known in [tag, &format!("\"other\", {tag}"), tag.trim_start_matches("W/"), "*"] {
        let again = get("/groups", &[HTML, ("if-none-match", known)]);
        assert_eq!((again.status(), again.body().len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
        assert_eq!(header(&again, "etag"), Some(tag));
        assert_eq!(header(&again, "content-length"), None);
        assert!(header(&again, "content-security-policy").is_some());
    }
    assert_eq!(get("/", &[("if-none-match", "W/\"other\"")]).status(), StatusCode::OK);
    assert_ne!(header(&get("/theme.js", &[]), "etag"), Some(tag));
}

#[test]
fn the_smallest_form_that_the_browser_takes_is_sent() {
    let check = |accepted: &str, body: &str, encoding: Option<&str>| {
        let script = get("/assets/main-Ab12.js", &[("accept-encoding", accepted)]);
        assert_eq!(
            (&script.body()[..], header(&script, "content-encoding")),
            (body.as_bytes(), encoding),
            "{accepted}"
        );
        assert_eq!(header(&script, "content-length"), Some(body.len().to_string().as_str()));
        assert_eq!(header(&script, "vary"), Some("Accept-Encoding"));
        assert_eq!(header(&script, "content-type"), Some("text/javascript; charset=utf-8"));
    };
    check("gzip, deflate, br, zstd", "br", Some("br"));
    check("gzip, deflate", "gz", Some("gzip"));
    check("BR;q=0.1", "br", Some("br"));
    check("br;q=0, gzip;q=1.0", "gz", Some("gzip"));
    check("br; q=0.000, gzip;q=0", "script", None);
    check("identity", "script", None);
    check("", "script", None);
    check("brotli, *", "script", None);
    let theme = get("/theme.js", &[("accept-encoding", "br")]);
    assert_eq!(
        (&theme.body()[..], header(&theme, "content-encoding"), header(&theme, "vary")),
        (&b"theme"[..], None, None)
    );
}

#[test]
fn the_page_is_protected_and_files_are_what_they_say() {
    let page = get("/", &[]);
    let policy = header(&page, "content-security-policy").unwrap();
    for rule in
        ["default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(policy.contains(rule), "{rule}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(header(&page, "referrer-policy"), Some("no-referrer"));
    assert_eq!(header(&page, "cross-origin-opener-policy"), Some("same-origin"));
    assert!(header(&page, "permissions-policy").unwrap().contains("clipboard-write=(self)"));
    for path in ["/", "/theme.js", "/assets/main-Ab12.js", "/assets/none.js"] {
        assert_eq!(header(&get(path, &[]), "x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[test]
fn head_hears_the_length_and_gets_nothing() {
    let head = ask(FILES, Method::HEAD, "/assets/main-Ab12.js", &[("accept-encoding", "gzip")]).unwrap();
    assert_eq!((head.status(), head.body().len(), header(&head, "content-length")), (StatusCode::OK, 0, Some("2")));
    assert_eq!(header(&head, "content-encoding"), Some("gzip"));
}

#[test]
fn a_binary_without_the_console_says_how_to_build_it() {
    for path in ["/", "/groups"] {
        let hint = ask(&[], Method::GET, path, &[HTML]).unwrap();
        assert_eq!(hint.status(), StatusCode::NOT_FOUND);
        assert!(String::from_utf8_lossy(hint.body()).contains("make console"), "{path}");
    }
    assert!(ask(&[], Method::GET, "/groups", &[]).is_none());
    assert!(ask(&[], Method::GET, "/api/docs", &[HTML]).is_none());
}

#[test]
fn every_built_file_has_a_type() {
    for file in BUILT {
        assert_ne!(content_type(file.path), "application/octet-stream", "{}", file.path);
    }
}
