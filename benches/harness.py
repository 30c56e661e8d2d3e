"""Starts and stops what a benchmark needs: the mock upstream, nginx, gpt-load, the load generator."""

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
AUTH_KEY = "Management-Key-of-a-Benchmark-123456"
CLIENT_KEY = "sk-client"
GROUP = "bench"
KEY_BYTES = 51
START_SECONDS_MAX = 60


def binary(name):
    """The release build of one of our programs."""
    return TARGET / "release" / name


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def children(process_id):
    """A process and its direct children (nginx's workers)."""
    listed = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return [process_id, *map(int, listed)]


class Server:
    """A program that listens on one port; stopped by leaving its `with` block."""

    def __init__(self, name, command, port, directory, environment=None):
        self.name = name
        self.port = port
        self.directory = directory
        self.output = open(directory / f"{name}.log", "ab")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            list(map(str, command)), cwd=directory, env=environment, stdin=subprocess.DEVNULL,
            stdout=self.output, stderr=self.output,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def process_ids(self):
        return children(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()

    def request(self, method, target, body=None, key=CLIENT_KEY):
        """One request on a connection of its own: the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept-Language": "en-US"}
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def wait_for(self, method, target, body=None):
        """Seconds from the start of the program to its first answer of status 200 there."""
        while True:
            try:
                status, _ = self.request(method, target, body)
                if status == 200:
                    return time.perf_counter() - self.started
            except OSError:
                pass
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended:\n{self.printed()}")
            if time.perf_counter() - self.started > START_SECONDS_MAX:
                raise SystemExit(f"{self.name} does not serve:\n{self.printed()}")
            time.sleep(0.001)

    def printed(self):
        return (self.directory / f"{self.name}.log").read_text(errors="replace")[-4000:]

    def proportional_kibibytes(self):
        """Memory of all its processes, shared pages divided among those who share them."""
        total = 0
        for process_id in self.process_ids:
            rollup = Path(f"/proc/{process_id}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return total


class Bench:
    """One benchmark's temporary directory and everything that runs in it."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="gpt-load-bench-"))
        self.databases = {}
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def room(self, name):
        self.count += 1
        room = self.directory / f"{self.count}-{name}"
        room.mkdir()
        return room

    def mock(self, *arguments):
        room, port = self.room("mock"), free_port()
        command = [binary("mock-upstream"), "--listen", f"127.0.0.1:{port}", "--cheap", *arguments]
        server = Server("mock", command, port, room)
        server.wait_for("GET", "/v1/models")
        return server

    def nginx(self, mock):
        room, port = self.room("nginx"), free_port()
        text = (ROOT / "benches/nginx.conf").read_text()
        for name, value in [("directory", room), ("mock", mock.address), ("listen", f"127.0.0.1:{port}")]:
            text = text.replace("{{" + name + "}}", str(value))
        (room / "nginx.conf").write_text(text)
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        server = Server("nginx", [program, "-p", room, "-c", room / "nginx.conf"], port, room)
        server.wait_for("GET", "/v1/models")
        return server

    def gpt_load(self, mock=None, keys=0):
        """gpt-load; with a mock, its group `bench` holds that many keys and the server has answered once."""
        room = self.room("gpt-load")
        (room / "data").mkdir()
        if mock is None:
            return self.start_gpt_load(room)
        self.fill(room / "data/gpt-load.db", mock, keys)
        server = self.start_gpt_load(room)
        server.ready_seconds = server.wait_for("POST", proxied("/v1/chat/completions"), {"messages": []})
        return server

    def start_gpt_load(self, room):
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(port), "AUTH_KEY": AUTH_KEY,
            "MAX_CONCURRENT_REQUESTS": "100000", "TZ": "UTC", **extra_environment(),
        }
        return Server("gpt-load", [binary("gpt-load")], port, room, environment)

    def fill(self, database, mock, keys):
        """A database with one group towards the mock and that many keys, written by gpt-load but for the keys."""
        if keys not in self.databases:
            room = self.room("prepare")
            (room / "data").mkdir()
            with self.start_gpt_load(room) as server:
                server.wait_for("GET", "/health")
                group = {
                    "name": GROUP, "channel_type": "openai", "test_model": "mock-small", "proxy_keys": CLIENT_KEY,
                    "upstreams": [{"url": "http://unset.invalid", "weight": 1}],
                }
                status, body = server.request("POST", "/api/groups", group, AUTH_KEY)
                if status != 200:
                    raise SystemExit(f"the group was refused: {body.decode()}")
                group_id = json.loads(body)["data"]["id"]
            made = room / "data/gpt-load.db"
            insert_keys(made, group_id, keys)
            self.databases[keys] = made
        shutil.copy(self.databases[keys], database)
        with sqlite3.connect(database) as connection:
            upstreams = json.dumps([{"url": f"http://{mock.address}", "weight": 1}])
            connection.execute("UPDATE groups SET upstreams = ?", (upstreams,))
        connection.close()

    def load(self, server, path, *arguments, watch=()):
        """One run of the load generator: its report."""
        command = [binary("load-generator"), "--address", server.address, "--path", path, "--key", CLIENT_KEY]
        for watched in watch:
            command += ["--watch", f"{watched.name}={','.join(map(str, watched.process_ids))}"]
        done = subprocess.run([*map(str, command), *map(str, arguments)], stdout=subprocess.PIPE, check=True)
        report = json.loads(done.stdout)
        if report["failures"]:
            print(f"  {server.name}: {report['failures']} failures: {report['failure_examples']}", flush=True)
        return report


def extra_environment():
    """Variables for gpt-load from BENCH_ENV, for trying something: `BENCH_ENV='A=1 B=2' scripts/bench`."""
    return dict(pair.split("=", 1) for pair in os.environ.get("BENCH_ENV", "").split())


def proxied(path):
    return f"/proxy/{GROUP}{path}"


def insert_keys(database, group_id, count):
    """Rows as gpt-load itself writes them without an encryption key."""
    now = time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime())

    def rows():
        for index in range(count):
            key = ("sk-" + hashlib.sha256(str(index).encode()).hexdigest())[:KEY_BYTES]
            yield key, hashlib.sha256(key.encode()).hexdigest(), group_id, now, now

    connection = sqlite3.connect(database)
    with connection:
        connection.executemany(
            "INSERT INTO api_keys (key_value, key_hash, group_id, status, created_at, updated_at)"
            " VALUES (?, ?, ?, 'active', ?, ?)",
            rows(),
        )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
