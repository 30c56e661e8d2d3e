#!/usr/bin/env python3
"""Writes the dumps beside it: databases as GPT-Load 1.4.9 ("the original") leaves them, on each engine.

    tests/originals/make.py            (needs the package `cryptography`; the output is committed)

What they hold is told in README.md. The encodings are those of the original: texts of times on SQLite, wall clocks on
MySQL, JSON with sorted members and escaped <, > and &, a JSON null where a map was never given.
"""

import hashlib
import hmac
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = Path(__file__).resolve().parent
SHANGHAI = timezone(timedelta(hours=8))
KOLKATA = timezone(timedelta(hours=5, minutes=30))
PASSPHRASE = "correct horse battery staple"
# Tests replace it by their mock upstream.
UPSTREAM = "http://mock.invalid"
DEFINITIONS = {
    "sqlite": HERE.parent / "golden/database/original_1_4.sql",
    "mysql": HERE / "definitions/mysql_1_4.sql",
    "postgresql": HERE / "definitions/postgresql_1_4.sql",
}


# -- secrets


class Clear:
    name = ""

    def hash(self, key):
        return hashlib.sha256(key.encode()).hexdigest() if key else ""

    def store(self, key, nonce=None):
        return key


class Encrypted:
    """PBKDF2, AES-256-GCM and HMAC-SHA256 as the original uses them."""

    name = "_encrypted"

    def __init__(self, passphrase):
        self.secret = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), b"gpt-load-encryption-v1", 100_000, 32)
        self.count = 0

    def hash(self, key):
        return hmac.new(self.secret, key.encode(), "sha256").hexdigest() if key else ""

    def store(self, key, nonce=None):
        if not key:
            return ""
        # Never the same twice, and the same in each run of this script.
        self.count += 1
        nonce = nonce or hashlib.sha256(f"nonce {self.count}".encode()).digest()[:12]
        return (nonce + AESGCM(self.secret).encrypt(nonce, key.encode(), None)).hex()


def check_vectors():
    """The vectors that the format is known by."""
    ours = Encrypted(PASSPHRASE)
    assert ours.secret.hex() == "e915a5811ff452924e6154ae760a7831e636c1b6ca52ed69da451456f5b08e26"
    for key, nonce, stored, keyed, plain in [
        (
            "sk-test-0123456789abcdefghijklmnop",
            "000102030405060708090a0b",
            "000102030405060708090a0bb40e9ebb2d52c7775c753903af094e0b2567f1f254062a9966e374c5bf67490873f26cbaa09244"
            "4f04e36097604c6cc78d01",
            "4071bfaf8fe9b3dac041d5a5ae222138c6832f720278d7b469364021c641680d",
            "9a45518ce0669b481e610468259173e15c47184e6a0847a4673743867f3831fc",
        ),
        (
            "AIzaSyTestKey-000000000000000000000000",
            "ffeeddccbbaa998877665544",
            "ffeeddccbbaa9988776655448f205084d3ce2f1dc3776301f2b72043f2cf7fce5f0a4cd5be8ccf958de305781f7d599fb618a5"
            "2a3099554f2602a4788da22b646331",
            "6731a883f813335502ca4de0480920ddaa8f00a0bf603fc9af4334d8a05d276c",
            "bf77492c19037c3fd7903dc207b79b53de570412a30d253c9619788e55675b28",
        ),
    ]:
        assert ours.store(key, bytes.fromhex(nonce)) == stored, key
        assert ours.hash(key) == keyed and Clear().hash(key) == plain, key
    other = Encrypted("my-encryption-key-0123456789")
    assert other.hash("sk-test-0001") == "e6a0005b928c815aa1dd3d771702b8b497bc30dd1db37292762817e5a6bcc550"


# -- values


class Json(str):
    """The text of a JSON column."""


def map_or_list(value):
    """As Go writes it."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Json(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


class Time:
    """An instant, with nanoseconds, and the zone of the process that wrote it."""

    def __init__(self, text, zone=SHANGHAI):
        whole, _, fraction = text.partition(".")
        self.wall = datetime.fromisoformat(whole)
        self.nanoseconds = int((fraction or "0").ljust(9, "0"))
        self.zone = zone

    def sqlite(self):
        fraction = f".{self.nanoseconds:09}".rstrip("0").rstrip(".")
        minutes = int(self.zone.utcoffset(None).total_seconds()) // 60
        return f"{self.wall:%Y-%m-%d %H:%M:%S}{fraction}+{minutes // 60:02}:{minutes % 60:02}"

    def rounded(self, digits):
        """In Shanghai, rounded as the server does."""
        unit = 10 ** (9 - digits)
        units = (self.nanoseconds + unit // 2) // unit
        instant = self.wall.replace(tzinfo=self.zone).astimezone(SHANGHAI) + timedelta(seconds=units // 10**digits)
        return f"{instant:%Y-%m-%d %H:%M:%S}.{units % 10**digits:0{digits}}"

    def mysql(self):
        return self.rounded(3)

    def postgresql(self):
        return self.rounded(6) + "+08"


def literal(engine, value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return {"postgresql": str(value).lower()}.get(engine, str(int(value)))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Time):
        value = getattr(value, engine)()
    value = value.replace("'", "''")
    # Only here is the backslash special in a text.
    if engine == "mysql":
        value = value.replace("\\", "\\\\")
    return f"'{value}'"


def insert(engine, table, columns, rows):
    quote = '"' if engine == "postgresql" else "`"
    names = ",".join(quote + name + quote for name in columns)
    values = ",\n ".join("(" + ",".join(literal(engine, value) for value in row) + ")" for row in rows)
    return f"INSERT INTO {quote}{table}{quote} ({names}) VALUES\n {values};\n"


# -- what the databases of 1.4 hold

CREATED = Time("2026-03-02 10:00:00.25")
UPDATED = Time("2026-11-20 09:30:00.5")

SETTINGS = [
    ("app_url", "http://localhost:3001", "app_url_desc"),
    ("proxy_keys", "sk-global-1,sk-global-2", "proxy_keys_desc"),
    ("request_log_retention_days", "0", "log_retention_days_desc"),
    ("request_log_write_interval_minutes", "1", "log_write_interval_desc"),
    ("enable_request_body_logging", "false", "enable_request_body_logging_desc"),
    # One million seconds, as it was saved: nobody can read it, so the default counts.
    ("request_timeout", "1e+06", "request_timeout_desc"),
    ("connect_timeout", "15", "connect_timeout_desc"),
    ("idle_conn_timeout", "120", "idle_conn_timeout_desc"),
    ("response_header_timeout", "600", "response_header_timeout_desc"),
    ("max_idle_conns", "100", "max_idle_conns_desc"),
    ("max_idle_conns_per_host", "50", "max_idle_conns_per_host_desc"),
    ("proxy_url", "", "proxy_url_desc"),
    ("max_retries", "3", "max_retries_desc"),
    ("blacklist_threshold", "5", "blacklist_threshold_desc"),
    ("key_validation_interval_minutes", "60", "key_validation_interval_desc"),
    ("key_validation_concurrency", "10", "key_validation_concurrency_desc"),
    ("key_validation_timeout_seconds", "20", "key_validation_timeout_desc"),
    # Last, because the database is older than this setting.
    ("failover_status_codes", "400-403,405-999", "failover_status_codes_desc"),
]

GROUP_COLUMNS = (
    "id name display_name proxy_keys description group_type upstreams validation_endpoint channel_type sort test_model "
    "param_overrides config header_rules model_redirect_rules model_redirect_strict last_validated_at created_at "
    "updated_at"
).split()
MAP_NEVER_GIVEN = Json("null")


def groups():
    one = map_or_list([{"url": UPSTREAM, "weight": 1}])
    return [
        (
            1, "openai-main", "OpenAI 主力", "sk-client,sk-team-b", "it's the first", "standard",
            map_or_list([{"url": UPSTREAM + "/", "weight": 2}, {"url": "http://unused.invalid", "weight": 0}]),
            "", "openai", 1, "mock-small", map_or_list({"temperature": 0.5}),
            map_or_list({"max_retries": 1, "blacklist_threshold": 2}),
            map_or_list([
                {"key": "X-Group", "value": "${GROUP_NAME}", "action": "set"},
                {"key": "X-Odd", "value": "a&b <c>", "action": "set"},
                {"key": "X-Secret", "value": "", "action": "remove"},
            ]),
            map_or_list({"fast": "mock-small"}), False, Time("2026-11-20 09:25:00.125"), CREATED, UPDATED,
        ),
        (
            2, "openai-spare", "", "sk-client", "", "standard", one, "/v1/chat/completions", "openai", 2, "mock-small",
            MAP_NEVER_GIVEN, MAP_NEVER_GIVEN, map_or_list([]), map_or_list({}), False, None, CREATED, CREATED,
        ),
        # Older than most columns: what has no default is NULL.
        (
            3, "claude", None, None, None, None, one, None, "anthropic", 3, "mock-small", None, None, None, None, None,
            None, CREATED, CREATED,
        ),
        (
            4, "gemini", "Gemini", "sk-client", "", "standard", one, "", "gemini", 4, "mock-small", map_or_list({}),
            map_or_list({"enable_request_body_logging": True}), map_or_list([]),
            map_or_list({"gemini-fast": "mock-small"}), True, Time("2026-11-20 09:25:01"), CREATED, UPDATED,
        ),
        (
            5, "all-openai", "All", "sk-client", "", "aggregate", map_or_list([]), "", "openai", 5, "-",
            MAP_NEVER_GIVEN, MAP_NEVER_GIVEN, map_or_list([]), map_or_list({}), False, None, CREATED, CREATED,
        ),
    ]


# Groups 6 and 7 (an aggregate) were deleted.
LAST_GROUP = 7
MEMBERS = [(1, 5, 1, 10), (2, 5, 2, 5)]

KEY_COLUMNS = (
    "id key_value key_hash group_id status notes request_count failure_count last_used_at created_at updated_at"
).split()
MAIN, SECOND, DEAD = "sk-test-0123456789abcdefghijklmnop", "sk-second-0002", "sk-dead-0003"
SPARE, CLAUDE, GEMINI = "sk-spare-0005", "sk-ant-0007", "AIzaSyTestKey-000000000000000000000000"
# id, key, group, status, notes, requests, failures, last used
KEYS = [
    (1, MAIN, 1, "active", "主力 key", 12, 0, Time("2026-11-20 09:15:30.123456789")),
    (2, SECOND, 1, "active", "", 3, 1, Time("2026-11-20 09:20:00")),
    (3, DEAD, 1, "invalid", "", 1, 2, Time("2026-10-01 12:00:00.75")),
    (5, SPARE, 2, "active", None, 0, 0, None),
    # The same key as the first, in another group.
    (6, MAIN, 2, "active", "", 1, 0, Time("2026-11-20 07:00:00.5", KOLKATA)),
    (7, CLAUDE, 3, "active", "", 0, 4, None),
    (8, GEMINI, 4, "active", "", 1, 0, Time("2026-11-20 09:40:00.001")),
]
# Of group 6, which is gone: only SQLite lets that happen.
ORPHAN = (10, "sk-orphan-0010", 6, "active", "", 9, 0, None)
LAST_KEY = 10

LOG_COLUMNS = (
    "id timestamp group_id group_name parent_group_id parent_group_name key_value key_hash model is_success source_ip "
    "status_code request_path duration error_message user_agent request_type upstream_addr is_stream request_body"
).split()
CHAT = "/v1/chat/completions"


def logs(secrets):
    def key(text):
        return secrets.store(text), secrets.hash(text)

    return [
        ("1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b101", Time("2026-11-20 09:15:30.123456789"), 1, "openai-main", 0, "",
         *key(MAIN), "fast", True, "203.0.113.9", 200, "/proxy/openai-main" + CHAT, 120, "", "", "final",
         UPSTREAM + CHAT, True, ""),
        # One request to the aggregate: a try that failed, and the one that answered.
        ("1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b102", Time("2026-11-20 09:19:59.5"), 2, "openai-spare", 5, "all-openai",
         *key(SPARE), "mock-small", False, "203.0.113.9", 429, "/proxy/all-openai" + CHAT, 35, "限流: it's too much",
         "", "retry", UPSTREAM + CHAT, False, ""),
        ("1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b103", Time("2026-11-20 09:20:00"), 1, "openai-main", 5, "all-openai",
         *key(SECOND), "mock-small", True, "203.0.113.9", 200, "/proxy/all-openai" + CHAT, 80, "", "", "final",
         UPSTREAM + CHAT, False, ""),
        # No key was chosen.
        ("1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b104", Time("2026-11-20 10:05:00"), 3, "claude", 0, "", "", "", "", False,
         "2001:db8::1", 503, "/proxy/claude/v1/messages", 0, "no key", "", "final", "", False, ""),
        # With its body.
        ("1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b105", Time("2026-11-20 09:40:00.001"), 4, "gemini", 0, "", *key(GEMINI),
         "gemini-fast", True, "203.0.113.10", 200, "/proxy/gemini/v1beta/models/gemini-fast:generateContent", 300, "",
         "curl/8.5.0", "final", UPSTREAM + "/v1beta/models/mock-small:generateContent", False,
         '{"contents":[{"parts":[{"text":"你好, \\"it\'s\\" \\\\ me"}]}]}'),
        # From a process in another zone: 09:30:00.5 in Shanghai.
        ("1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b106", Time("2026-11-20 07:00:00.5", KOLKATA), 2, "openai-spare", 0, "",
         *key(MAIN), "mock-small", True, "203.0.113.9", 200, "/proxy/openai-spare" + CHAT, 64, "", "", "final",
         UPSTREAM + CHAT, False, ""),
        # Older than hashes, models and aggregates, and in clear for ever: nobody encrypts logs later.
        ("1f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b107", Time("2026-03-02 10:30:00.25"), 3, "claude", None, None, CLAUDE, None,
         None, True, "203.0.113.9", 200, "/proxy/claude/v1/messages", 210, "", "", "final",
         UPSTREAM + "/v1/messages", False, None),
    ]


HOUR_COLUMNS = "id time group_id success_count failure_count created_at updated_at".split()
# hour, group, successes, failures
HOURS = [
    (Time("2026-11-20 00:00:00"), 1, 10, 0),
    (Time("2026-11-20 09:00:00"), 1, 5, 1),
    (Time("2026-11-20 06:30:00", KOLKATA), 1, 2, 0),
    (Time("2026-11-20 06:30:00", KOLKATA), 2, 1, 0),
    (Time("2026-11-20 09:00:00"), 5, 4, 1),
    (Time("2026-11-20 09:00:00"), 4, 1, 0),
    (Time("2026-11-20 10:00:00"), 3, 0, 2),
    # Of groups that are gone, one of them an aggregate.
    (Time("2026-11-20 10:00:00"), 6, 3, 0),
    (Time("2026-11-20 10:00:00"), 7, 3, 0),
]


def hours(engine):
    """On SQLite the zone is a part of the text, so an hour may have two rows; elsewhere it has one."""
    if engine == "sqlite":
        return HOURS
    merged = {}
    for hour, group, successes, failures in HOURS:
        first, before, failed = merged.get((hour.rounded(0)[:19], group), (hour, 0, 0))
        merged[(hour.rounded(0)[:19], group)] = (first, before + successes, failed + failures)
    return [(hour, group, done, failed) for (_, group), (hour, done, failed) in merged.items()]


def rows_of_1_4(engine, secrets):
    settings = [
        (number, key, value, "config." + description, CREATED, UPDATED if value in ("1e+06", "0", "5") else CREATED)
        for number, (key, value, description) in enumerate(SETTINGS, 1)
    ]
    keys = []
    for number, key, group, status, notes, requests, failures, used in KEYS + ([ORPHAN] if engine == "sqlite" else []):
        # The keys of the known vectors, in their stored forms.
        nonces = {1: "000102030405060708090a0b", 8: "ffeeddccbbaa998877665544"}
        nonce = bytes.fromhex(nonces[number]) if number in nonces else None
        stored, hashed = secrets.store(key, nonce), secrets.hash(key)
        keys.append((number, stored, hashed, group, status, notes, requests, failures, used, CREATED, UPDATED))
    members = [(*member, CREATED, CREATED) for member in MEMBERS]
    tallies = [(number, *hour, CREATED, UPDATED) for number, hour in enumerate(hours(engine), 1)]
    setting_columns = "id setting_key setting_value description created_at updated_at".split()
    member_columns = "id group_id sub_group_id weight created_at updated_at".split()
    return [
        ("system_settings", setting_columns, settings, len(SETTINGS)),
        ("groups", GROUP_COLUMNS, groups(), LAST_GROUP),
        ("group_sub_groups", member_columns, members, len(MEMBERS) + 1),
        ("api_keys", KEY_COLUMNS, keys, LAST_KEY),
        ("request_logs", LOG_COLUMNS, logs(secrets), None),
        ("group_hourly_stats", HOUR_COLUMNS, tallies, len(HOURS)),
    ]


# -- an old one: upgraded to 1.0.13 and left there

OLD_CREATED = Time("2025-07-01 09:00:00")


def rows_of_1_0_13(engine):
    wanted = "app_url request_log_retention_days request_log_write_interval_minutes request_timeout connect_timeout " \
        "idle_conn_timeout max_idle_conns max_idle_conns_per_host max_retries blacklist_threshold " \
        "key_validation_interval_minutes key_validation_concurrency key_validation_timeout_seconds"
    known = {key: (value, description) for key, value, description in SETTINGS}
    settings = [
        (number, key, known[key][0], "config." + known[key][1], OLD_CREATED, OLD_CREATED)
        for number, key in enumerate(wanted.split(), 1)
    ]
    one = map_or_list([{"url": UPSTREAM, "weight": 1}])
    old_groups = [
        (1, "team", "Team", "", one, "openai", 1, "mock-small", MAP_NEVER_GIVEN, map_or_list({"max_retries": 0}), None,
         OLD_CREATED, OLD_CREATED),
        (2, "claude", None, None, one, "anthropic", 2, "mock-small", None, None, None, OLD_CREATED, OLD_CREATED),
    ]
    keys = [
        (1, "sk-test-0001", 1, "active", 7, 0, Time("2025-07-02 10:00:00.25"), OLD_CREATED, OLD_CREATED),
        (2, "sk-test-0002", 1, "invalid", 0, 3, None, OLD_CREATED, OLD_CREATED),
        (3, "sk-test-0001", 2, "active", 0, 0, None, OLD_CREATED, OLD_CREATED),
    ]
    log_columns = "id timestamp group_id group_name key_value is_success source_ip status_code request_path duration " \
        "error_message user_agent retries upstream_addr is_stream".split()
    log_rows = [
        ("2f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b201", Time("2025-07-02 10:00:00.25"), 1, "team", "sk-test-0001", True,
         "203.0.113.9", 200, "/proxy/team" + CHAT, 120, "", "curl/8.5.0", 0, UPSTREAM + CHAT, False),
        ("2f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b202", Time("2025-07-02 10:01:00"), 1, "team", "sk-test-0002", False,
         "203.0.113.9", 401, "/proxy/team" + CHAT, 20, "invalid key", "", 1, UPSTREAM + CHAT, False),
    ]
    if engine == "mysql":
        # From 1.0.6: a column that no later version fills or drops, and rows without the newer ones.
        log_columns.append("key_id")
        log_rows = [(*log_rows[0], 1), (*log_rows[1], 2)]
        log_rows.append(("2f0d6c1e-64c5-4b8e-9f0e-0c64c5a2b203", Time("2025-06-15 12:00:00"), 1, None, None, True,
                         "203.0.113.9", 200, "/proxy/team" + CHAT, 99, "", "", 0, None, False, 1))
    group_columns = "id name display_name description upstreams channel_type sort test_model param_overrides config " \
        "last_validated_at created_at updated_at".split()
    key_columns = "id key_value group_id status request_count failure_count last_used_at created_at updated_at".split()
    hour = [(1, Time("2025-07-02 10:00:00"), 1, 1, 1, OLD_CREATED, OLD_CREATED)]
    return [
        ("system_settings", "id setting_key setting_value description created_at updated_at".split(), settings, None),
        ("groups", group_columns, old_groups, 2),
        ("api_keys", key_columns, keys, 3),
        ("request_logs", log_columns, log_rows, None),
        ("group_hourly_stats", HOUR_COLUMNS, hour, 1),
    ]


# -- dumps


def last_id(engine, table, last):
    """Ids are never given twice, also those of deleted rows."""
    if engine == "sqlite":
        return f"UPDATE sqlite_sequence SET seq = {last} WHERE name = '{table}';\n"
    if engine == "mysql":
        return f"ALTER TABLE `{table}` AUTO_INCREMENT = {last + 1};\n"
    return f"SELECT setval('{table}_id_seq', {last});\n"


def write(name, engine, definitions, tables):
    lines = [line for line in definitions.read_text().splitlines() if line.strip()]
    dump = "-- Made by tests/originals/make.py; what it holds stands in README.md.\n"
    dump += "".join(line.removesuffix(";") + ";\n" for line in lines)
    for table, columns, rows, last in tables:
        assert all(len(row) == len(columns) for row in rows), table
        dump += insert(engine, table, columns, rows)
        if engine == "postgresql" and last is None and columns[0] == "id" and isinstance(rows[0][0], int):
            last = len(rows)
        if last is not None:
            dump += last_id(engine, table, last)
    (HERE / name).write_text(dump)


def main():
    check_vectors()
    for engine, definitions in DEFINITIONS.items():
        for secrets in (Clear(), Encrypted(PASSPHRASE)):
            write(f"{engine}_1_4{secrets.name}.sql", engine, definitions, rows_of_1_4(engine, secrets))
    for engine in DEFINITIONS:
        write(f"{engine}_1_0_13.sql", engine, HERE / f"definitions/{engine}_1_0_13.sql", rows_of_1_0_13(engine))


if __name__ == "__main__":
    main()
