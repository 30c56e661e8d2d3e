"""Fills a database of gpt-load with rows of the request log, as a week of varied traffic would leave them.

5 % of the attempts fail, more than half of those are tried again. Old groups have no recent traffic and new ones no old,
so that a filter must not depend on where its rows lie. Most errors are different texts, as providers write numbers and
ids into them.
"""

import sqlite3
import sys
import time

ROWS_PER_LOT = 50_000

# Materialised, so that each chance is taken once and not wherever its column is named.
ROWS = """
WITH RECURSIVE number(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM number WHERE i + 1 < :end),
chance AS MATERIALIZED (
  SELECT i, :begin + :seconds * i / :count AS at, 1.0 * i / :count AS share, abs(random()) AS a, abs(random()) AS b,
    abs(random()) AS c, abs(random()) % 100 < 5 AS failed, abs(random()) AS text FROM number),
row AS MATERIALIZED (
  SELECT *, CAST(at * 1000 AS INTEGER) AS milliseconds, c % 100000 AS key,
    1 + max(0, min(39, CAST(40 * share + (a % 13) + (b % 13) - 12 AS INTEGER))) AS group_number,
    CASE WHEN failed THEN json_extract('[429,429,401,500,502,400]', '$[' || (text % 6) || ']') ELSE 200 END AS status
  FROM chance)
INSERT INTO request_logs (id, timestamp, group_id, group_name, parent_group_id, parent_group_name, key_value, key_hash,
  model, is_success, source_ip, status_code, request_path, duration, error_message, user_agent, request_type,
  upstream_addr, is_stream, request_body, request_id, attempt, first_byte_ms, overhead_us, verdict, client_key)
SELECT printf('%08x-%04x-7%03x-8%03x-%08x0003', milliseconds >> 16, milliseconds & 65535, i & 4095, a & 4095, b & 4294967295),
  strftime('%Y-%m-%d %H:%M:%f+00:00', at, 'unixepoch'), group_number, printf('group-%02d', group_number),
  CASE WHEN a % 10 = 0 THEN 100 ELSE 0 END, CASE WHEN a % 10 = 0 THEN 'everything' ELSE '' END,
  printf('sk-a****%04d', key), printf('%016x%016x%016x%016x', key * 2654435761, key * 40503, key, key + 7),
  printf('model-%d', CASE WHEN b % 3 THEN b % 5 ELSE (b / 3) % 59 END), NOT failed,
  printf('10.0.%d.%d', b % 4, c % 50), status, printf('/proxy/group-%02d/v1/chat/completions', group_number),
  200 + a % 30000,
  CASE WHEN NOT failed THEN ''
    WHEN status = 429 THEN printf('Rate limit reached for requests per min. Please try again in %dms.', text % 60000)
    WHEN status = 401 THEN printf('Incorrect API key provided: sk-a****%04d. You can find your API key in your account.', key)
    WHEN status = 500 THEN printf('The server had an error while processing your request (request ID req_%x)', text)
    WHEN status = 400 THEN printf('This model''s maximum context length is 131072 tokens, you requested %d tokens', text % 900000)
    ELSE 'The upstream did not answer in time' END,
  'OpenAI/Python 1.60.0', CASE WHEN failed AND b % 5 < 3 THEN 'retry' ELSE 'final' END,
  'https://api.example.com/v1/chat/completions', a % 2, '',
  printf('%08x-%04x-7%03x-8%03x-%08x0000', milliseconds >> 16, milliseconds & 65535, i & 4095, a & 4095, b & 4294967295),
  1, 100 + a % 1900, 40 + b % 360,
  CASE status WHEN 200 THEN 'success' WHEN 429 THEN 'key_for_now' WHEN 401 THEN 'key' WHEN 400 THEN 'client' ELSE 'upstream' END,
  printf('sk-p****%04d', c % 30)
FROM row
"""


def fill(path, count, days=6):
    """Adds rows to a database whose schema exists; indexes are made anew afterwards, which is quicker."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    indexes = database.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'request_logs' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    seconds = days * 86_400
    for first in range(0, count, ROWS_PER_LOT):
        database.execute(ROWS, {
            "first": first, "end": min(count, first + ROWS_PER_LOT), "count": count, "begin": time.time() - seconds,
            "seconds": seconds,
        })
    for _, text in indexes:
        database.execute(text)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
