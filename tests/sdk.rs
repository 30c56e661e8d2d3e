//! The official SDKs talk through the proxy to the mock upstream, unmodified but for base URL and key.
//!
//! The tests themselves are in `tests/sdk`. They need python3 with its `venv` module; the SDKs are installed once.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::{Ending, MockUpstream, Play, TempServer};

/// Opens every group.
const GLOBAL_KEY: &str = "sk-opens-every-group-0123456789";
const CHANNEL_TYPES: [&str; 4] = ["openai", "openai-response", "anthropic", "gemini"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_sdks_work() {
    let python = tokio::task::spawn_blocking(|| {
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/requirements.txt");
        testkit::python_with(&requirements, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk"))
    });
    let python = python.await.unwrap();
    let mock = MockUpstream::start().await;
    let server = TempServer::builder().env("PROXY_KEYS", GLOBAL_KEY).start().await;
    for channel_type in CHANNEL_TYPES {
        group(&server, &mock, channel_type, channel_type, Play::usual()).await;
        for status in [400, 401, 403, 404, 429, 500] {
            let play = Play::status(status);
            let play = if status == 429 { play.header("Retry-After", "7") } else { play };
            group(&server, &mock, channel_type, &format!("{channel_type}-{status}"), play).await;
        }
        group(&server, &mock, channel_type, &format!("{channel_type}-reset"), Play::reset()).await;
        let cut = Play::ending(Ending::CloseAfter(2));
        group(&server, &mock, channel_type, &format!("{channel_type}-cut"), cut).await;
    }
    let mut tests = Command::new(python);
    tests
        .args(["-m", "unittest", "discover", "-s", "tests/sdk", "-v"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SDK_TEST_BASE", server.base_url())
        .env("SDK_TEST_CLIENT_KEY", TempServer::CLIENT_KEY)
        .env("SDK_TEST_GLOBAL_KEY", GLOBAL_KEY);
    let done = tokio::task::spawn_blocking(move || tests.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{printed}\n--- the server printed ---\n{}", server.log());
    assert!(!printed.contains("Ran 0 tests"), "{printed}");
}

/// A group with two keys that its upstream treats alike.
async fn group(server: &TempServer, mock: &MockUpstream, channel_type: &str, name: &str, play: Play) {
    let id = server.create_group(name, channel_type, &mock.base_url(), json!({})).await;
    let keys = [format!("sk-{name}-1"), format!("sk-{name}-2")];
    for key in &keys {
        mock.play_always(key, play.clone());
    }
    server.add_keys(id, &[&keys[0], &keys[1]]).await;
}
