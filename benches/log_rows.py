"""Fills a database of gpt-load with rows of the request log, as months of varied traffic would leave them."""

import random
import sqlite3
import sys
import time

ROWS_PER_LOT = 50_000
GROUPS = 40
MODELS = 60
KEYS = 100_000
CLIENTS = 200
ERRORS = (
    "Rate limit reached for requests per min. Please try again in {}ms.",
    "Incorrect API key provided: sk-a****{}. You can find your API key at the provider's site.",
    "The server had an error while processing your request (request ID req_{})",
    "This model's maximum context length is 131072 tokens, however you requested {} tokens",
    "The upstream did not answer in time",
    "Overloaded",
)


def rows(count, end, seconds, seed):
    """`count` rows, oldest first, spread over the `seconds` before `end`, 5 % of them failures, 3 % tried again."""
    chance = random.Random(seed)
    hashes = [f"{chance.getrandbits(256):064x}" for _ in range(KEYS)]
    addresses = [f"10.0.{index // 250}.{index % 250}" for index in range(CLIENTS)]
    for index in range(count):
        at = end - seconds + seconds * index / count
        # Old groups have no recent traffic, new ones no old: a filter must not depend on where its rows lie.
        share = index / count
        group = 1 + int(GROUPS * min(0.999, max(0, chance.gauss(share, 0.15))))
        parent = chance.random() < 0.1
        number = chance.randrange(KEYS)
        failed = chance.random() < 0.05
        again = failed and chance.random() < 0.6
        status = chance.choice((429, 429, 401, 500, 502, 400)) if failed else 200
        error = chance.choice(ERRORS).format(chance.randrange(1_000_000)) if failed else ""
        unique = f"{int(at * 1000):012x}"
        identity = f"{unique[:8]}-{unique[8:]}-7{index & 0xfff:03x}-8{chance.getrandbits(12):03x}-{chance.getrandbits(32):08x}"
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at)) + f".{int(at * 1e6) % 999_999 + 1:06d}".rstrip("0")
        yield (
            f"{identity}0003", stamp + "+00:00", group, f"group-{group:02}", 100 if parent else 0,
            "everything" if parent else "", f"sk-a****{number:04d}", hashes[number],
            f"model-{min(MODELS - 1, int(chance.expovariate(0.2)))}", not failed, chance.choice(addresses), status,
            f"/proxy/group-{group:02}/v1/chat/completions", chance.randrange(200, 30_000), error,
            "OpenAI/Python 1.60.0", "retry" if again else "final", "https://api.example.com/v1/chat/completions",
            chance.random() < 0.5, "", f"{identity}0000", 1, chance.randrange(100, 2_000), chance.randrange(40, 400),
            "key_for_now" if failed else "success", f"sk-p****{chance.randrange(30):04d}",
        )


COLUMNS = (
    "id, timestamp, group_id, group_name, parent_group_id, parent_group_name, key_value, key_hash, model, is_success,"
    " source_ip, status_code, request_path, duration, error_message, user_agent, request_type, upstream_addr, is_stream,"
    " request_body, request_id, attempt, first_byte_ms, overhead_us, verdict, client_key"
)


def fill(path, count, days=7, seed=1, end=None):
    """Adds rows to a database whose schema exists; indexes are made anew afterwards, which is quicker."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    indexes = database.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'request_logs' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    statement = f"INSERT INTO request_logs ({COLUMNS}) VALUES ({', '.join('?' * 26)})"
    source = rows(count, end or time.time(), days * 86_400, seed)
    for _ in range(0, count, ROWS_PER_LOT):
        database.execute("BEGIN")
        database.executemany(statement, (row for row, _ in zip(source, range(ROWS_PER_LOT))))
        database.execute("COMMIT")
    for _, text in indexes:
        database.execute(text)
    database.close()


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
