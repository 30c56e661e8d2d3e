//! A property-based tester, schemathesis, tries the management API of the real binary by its own OpenAPI document: with
//! what the document allows and with what it forbids. Nothing may break, and nothing may be answered that is not in it.
//!
//! How it tries is in `tests/openapi`. It needs python3 with its `venv` module; schemathesis is installed once.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::{MockUpstream, TempServer};

/// The second half is there to be deleted.
const GROUPS: i64 = 16;
const KEYS_PER_GROUP: i64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_sent_breaks_the_api_or_is_answered_in_an_undocumented_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = tokio::task::spawn_blocking(move || {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi");
        testkit::python_with(&root.join("tests/openapi/requirements.txt"), &place)
    });
    let python = python.await.unwrap();
    let mock = MockUpstream::start().await;
    // Upstreams of groups that the tester makes up are asked for at the mock, which refuses to be a proxy.
    let server = TempServer::builder()
        .env("HTTP_PROXY", &mock.base_url())
        .env("HTTPS_PROXY", &mock.base_url())
        .env("NO_PROXY", "127.0.0.1")
        .env("TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .await;
    let secrets = furnish(&server, &mock).await;
    let mut tester = Command::new(python);
    tester
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(root.join("tests/openapi/schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/api/openapi.json", server.base_url()))
        .args(["--header", &format!("Authorization: Bearer {}", TempServer::AUTH_KEY), "--no-color"])
        // It leaves notes for its next run, and each run is to be the first.
        .current_dir(server.directory())
        .env("PYTHONPATH", root.join("tests/openapi"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "checks")
        .env("OPENAPI_TEST_GROUPS", GROUPS.to_string())
        .env("OPENAPI_TEST_KEYS", (GROUPS / 4 * 3 * KEYS_PER_GROUP).to_string())
        .env("OPENAPI_TEST_SECRETS", secrets.join(" "));
    let done = tokio::task::spawn_blocking(move || tester.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{printed}\n--- the server printed ---\n{}", server.log());
    let tried = printed.lines().find_map(|line| line.trim().split_once(" generated")?.0.parse().ok());
    assert!(tried.is_some_and(|tried: usize| tried > 1_000), "{printed}");
}

/// Standard groups with keys, and aggregate groups of them; what no error may show.
async fn furnish(server: &TempServer, mock: &MockUpstream) -> Vec<String> {
    let mut secrets = vec![TempServer::AUTH_KEY.to_owned()];
    for number in 1..=GROUPS {
        let name = format!("group-{number}");
        if number % 4 == 0 {
            server.create_aggregate(&name, "openai", &[(number - 1, 1), (number - 2, 2), (number - 3, 3)]).await;
            continue;
        }
        let id = server.create_group(&name, "openai", &mock.base_url(), json!({})).await;
        let keys: Vec<_> = (1..=KEYS_PER_GROUP).map(|key| format!("sk-secret-{number}-of-{key}-0123456789")).collect();
        server.add_keys(id, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
        secrets.extend(keys);
    }
    secrets
}
