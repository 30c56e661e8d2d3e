"""The management plane under load: a million keys come and go, and five million rows of the log are searched."""

import json
import time
import urllib.parse
from statistics import median

import log_rows
from harness import AUTH_KEY
from rows import Row

LOG_ROWS = 5_000_000
TRIES = 5
PAGE_MILLISECONDS_MAX = 100

# What is asked for, beside the first page of all. The last ones are found nowhere, or need two filters at once.
SEARCHES = {
    "first page": "",
    "group name": "group_name=group-20",
    "aggregate's name": "parent_group_name=every",
    "model, a part of its name": "model=odel-4",
    "model, rare": "model=model-58",
    "successes": "is_success=true",
    "failures": "is_success=false",
    "retries": "request_type=retry",
    "status 401": "status_code=401",
    "client address": "source_ip=10.0.3.7",
    "error text, frequent": "error_contains=rate%20limit",
    "error text, once": "error_contains={error}",
    "error text, nowhere": "error_contains=nobody%20said%20this",
    "key": "key_value=sk-unknown",
    "ten minutes": "start_time={start}&end_time={end}",
    "request id": "request_id={request_id}",
    "proxy key": "client_key=sk-p****0007",
    "verdict": "verdict=upstream",
    "status nowhere": "status_code=418",
    "old group, failures of one model": "group_name=group-03&model=model-3&is_success=false",
    "page 100,000": "page=100000",
}


def keys(bench, options):
    """Keys imported, deleted and cleared by the hundred thousand and by the million."""
    with bench.gpt_load() as server:
        server.wait_for("GET", "/health")
        group = {
            "name": "many", "channel_type": "openai", "test_model": "none",
            "upstreams": [{"url": "http://unset.invalid", "weight": 1}],
        }
        group_id = asked(server, "POST", "/api/groups", group)["id"]
        texts = [f"sk-{number:048x}" for number in range(1_000_000)]
        repeated = texts[:90_000] + texts[:10_000]
        few, result = task(server, "/api/keys/add-async", group_id, repeated)
        right = (result["added_count"], result["ignored_count"]) == (90_000, 10_000)
        deleting, deleted = task(server, "/api/keys/delete-async", group_id, texts[:90_000])
        many, result = task(server, "/api/keys/add-async", group_id, texts)
        right = right and deleted["deleted_count"] == 90_000 and result["added_count"] == 1_000_000
        listing = milliseconds(server, f"/api/keys?group_id={group_id}&page_size=100")
        searching = milliseconds(server, f"/api/keys?group_id={group_id}&search=f4240")
        begin = time.perf_counter()
        asked(server, "POST", "/api/keys/clear-all", {"group_id": group_id})
        clearing = time.perf_counter() - begin
    return [
        Row("100,000 keys imported, a tenth of them twice", "10 s", f"{few:.1f} s", good=right and few <= 10),
        Row("90,000 keys deleted by their texts", "10 s", f"{deleting:.1f} s", good=deleting <= 10),
        Row("1,000,000 keys imported", "works", f"{many:.1f} s", good=right),
        Row("a page of these, used last first", "", f"{listing:.0f} ms"),
        Row("keys of these that contain a text", "", f"{searching:.0f} ms"),
        Row("1,000,000 keys cleared", "works", f"{clearing:.1f} s", good=True),
    ]


def log_search(bench, options):
    """Pages of a request log with five million rows."""
    room = bench.room("log")
    (room / "data").mkdir()
    with bench.start_gpt_load(room) as server:
        server.wait_for("GET", "/health")
    database = room / "data/gpt-load.db"
    log_rows.fill(database, LOG_ROWS)
    rows = []
    with bench.start_gpt_load(room) as server:
        ready = server.wait_for("GET", "/health")
        middle = asked(server, "GET", f"/api/logs?page={LOG_ROWS // 30}&status_code=")["items"][0]
        odd = asked(server, "GET", "/api/logs?status_code=500&page=900")["items"][0]
        minutes = middle["timestamp"][:15]
        values = {
            "request_id": middle["request_id"], "start": minutes + "0:00Z", "end": minutes + "9:59Z",
            "error": urllib.parse.quote(odd["error_message"][-12:]),
        }
        for name, query in SEARCHES.items():
            target = "/api/logs?" + query.format(**values)
            page = median(milliseconds(server, target) for _ in range(TRIES))
            step = median(milliseconds(server, target + "&cursor=newest") for _ in range(TRIES))
            by_cursor = "" if "page=" in query else f", by cursor {step:.0f} ms"
            rows.append(Row(f"log of {LOG_ROWS:,} rows: {name}", f"{PAGE_MILLISECONDS_MAX} ms", f"{page:.0f} ms{by_cursor}", good=page <= PAGE_MILLISECONDS_MAX))
    rows.append(Row("start with that log", "", f"{ready:.2f} s"))
    return rows


def asked(server, method, target, body=None):
    status, answer = server.request(method, target, body, AUTH_KEY)
    if status != 200:
        raise SystemExit(f"{method} {target}: {status} {answer[:500].decode(errors='replace')}")
    return json.loads(answer).get("data")


def milliseconds(server, target):
    begin = time.perf_counter()
    asked(server, "GET", target)
    return (time.perf_counter() - begin) * 1000


def task(server, target, group_id, texts):
    """Seconds from the request to the end of the task, the upload included, and its result."""
    begin = time.perf_counter()
    asked(server, "POST", target, {"group_id": group_id, "keys_text": "\n".join(texts)})
    while (status := asked(server, "GET", "/api/tasks/status"))["is_running"]:
        time.sleep(0.01)
    return time.perf_counter() - begin, status["result"]
