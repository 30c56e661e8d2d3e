"""The scenarios, one function each: they run, compare with their budgets and give the rows of the table."""

from dataclasses import dataclass
from statistics import median

import management
from harness import KEY_BYTES, proxied
from rows import Row

CHAT = "/v1/chat/completions"


@dataclass
class Options:
    seconds: float
    rounds: int
    only_nginx: bool


def paths(server):
    return proxied(CHAT) if server.name == "gpt-load" else CHAT


def interleaved(bench, options, servers, mock, *arguments):
    """Runs the load against each server in turn, several rounds; gives the reports by name."""
    reports = {server.name: [] for server in servers}
    for _ in range(options.rounds):
        for server in servers:
            watch = (mock,) if server is mock else (server, mock)
            report = bench.load(server, paths(server), "--seconds", options.seconds, *arguments, watch=watch)
            reports[server.name].append(report)
    return reports


def middle(reports, figure):
    return median(figure(report) for report in reports)


def cpu(name):
    return lambda report: report["processes"][name]["cpu_microseconds_per_request"]


def split(reports, name):
    """User and system time of a process per request, in microseconds."""
    user = middle(reports, lambda report: report["processes"][name]["user_seconds"] * 1e6 / max(report["requests"], 1))
    system = middle(reports, lambda report: report["processes"][name]["system_seconds"] * 1e6 / max(report["requests"], 1))
    return f"{user:.1f} user + {system:.1f} system"


def at_most(budget, limit, unit, ours, nginx, factor, digits=1):
    ratio = ours / nginx if nginx else float("inf")
    return Row(budget, limit, f"{ours:.{digits}f} {unit}", f"{nginx:.{digits}f} {unit}", f"{ratio:.2f}", ratio <= factor)


def at_least(budget, limit, unit, ours, nginx, factor, digits=0):
    ratio = ours / nginx if nginx else 0
    return Row(budget, limit, f"{ours:.{digits}f} {unit}", f"{nginx:.{digits}f} {unit}", f"{ratio:.2f}", ratio >= factor)


def servers_for(bench, options, mock, keys):
    servers = [bench.nginx(mock)]
    if not options.only_nginx:
        servers.append(bench.gpt_load(mock, keys))
    return servers


def stop_all(*servers):
    for server in servers:
        server.stop()


def small_chat(bench, options):
    """CPU for each request and throughput, 64 connections, 100,000 keys."""
    mock = bench.mock()
    servers = servers_for(bench, options, mock, 100_000)
    reports = interleaved(bench, options, servers, mock, "--connections", 64)
    stop_all(*servers, mock)
    rows = []
    for name, own in reports.items():
        note = f"{middle(own, cpu('mock')):.1f} us mock, {middle(own, cpu('generator')):.1f} us generator"
        rows.append(Row(f"(CPU in the runs of {name})", "", f"{split(own, name)} us; {note}"))
    nginx, ours = reports["nginx"], reports.get("gpt-load")
    if ours:
        ours_cpu, nginx_cpu = middle(ours, cpu("gpt-load")), middle(nginx, cpu("nginx"))
        rows.insert(0, at_most("CPU per small chat, 64 connections, 100,000 keys", "1.25 x nginx, aim 1.0", "us", ours_cpu, nginx_cpu, 1.25))
        rate = lambda report: report["requests_per_second"]
        rows.insert(1, at_least("throughput of the same", "0.8 x nginx", "/s", middle(ours, rate), middle(nginx, rate), 0.8))
        rows.append(failures_row("small chat", ours))
    return rows


def failures_row(what, reports):
    failures = sum(report["failures"] for report in reports)
    return Row(f"requests of {what} that failed", "0", str(failures), good=failures == 0)


def latency(bench, options):
    """Latency that the proxy adds at 2,000 requests per second, open loop."""
    mock = bench.mock()
    servers = [mock, *servers_for(bench, options, mock, 100_000)]
    reports = interleaved(bench, options, servers, mock, "--rate", 2000, "--connections", 64)
    stop_all(*servers)
    rows = []
    for quantile in ("p50", "p99"):
        figure = lambda report: report["latency"][quantile]
        direct = middle(reports["mock"], figure)
        added = {name: middle(own, figure) - direct for name, own in reports.items()}
        if "gpt-load" in added:
            budget = f"latency added at 2,000 requests/s, {quantile}"
            rows.append(at_most(budget, "1.5 x nginx", "us", added["gpt-load"], added["nginx"], 1.5, 0))
        else:
            rows.append(Row(f"latency added by nginx, {quantile}", "", f"{added['nginx']:.0f} us"))
        rows.append(Row(f"(latency without a proxy, {quantile})", "", f"{direct:.0f} us"))
    if "gpt-load" in reports:
        rows.append(failures_row("the latency runs", reports["gpt-load"]))
    return rows


STREAMS = 1000
STREAM_ARGUMENTS = ("--streams", STREAMS, "--rounds", 4, "--ramp-ms", 1000, "--chunks", 50, "--gap-ms", 20)


def streams(bench, options):
    """1,000 streams at once: complete, in time, in little memory."""
    reports = {}
    for _ in range(options.rounds):
        for name in ("mock", "nginx", *(() if options.only_nginx else ("gpt-load",))):
            # Fresh processes, so that memory kept from an earlier round does not hide in the idle figure.
            mock = bench.mock("--stamped", "--chunks", 50, "--gap-ms", 20)
            server = {"mock": lambda: mock, "nginx": lambda: bench.nginx(mock), "gpt-load": lambda: bench.gpt_load(mock, 1000)}[name]()
            watch = (mock,) if server is mock else (server, mock)
            reports.setdefault(name, []).append(bench.load(server, paths(server), *STREAM_ARGUMENTS, watch=watch))
            stop_all(server, mock)
    rows = []
    growth = lambda name: lambda report: per_stream(report["processes"][name])
    delay = lambda report: report["streams"]["chunk_delay"]["p99"]
    late = lambda report: report["streams"]["behind_schedule"]["p99"]
    nginx, ours = reports["nginx"], reports.get("gpt-load")
    if ours:
        broken = sum(report["streams"]["incomplete"] + report["streams"]["chunks_lost"] for report in ours)
        rows.append(Row("1,000 streams: incomplete streams and lost chunks", "0", str(broken), str(sum(r["streams"]["incomplete"] for r in nginx)), good=broken == 0))
        memory = middle(ours, growth("gpt-load"))
        rows.append(Row("memory per stream over idle", "36 KiB, aim 20", f"{memory:.1f} KiB", f"{middle(nginx, growth('nginx')):.1f} KiB", f"{memory / middle(nginx, growth('nginx')):.2f}", memory <= 36))
        rows.append(at_most("chunk delay, p99", "1.5 x nginx", "us", middle(ours, delay), middle(nginx, delay), 1.5, 0))
        rows.append(Row("(chunks behind schedule, p99)", "", f"{middle(ours, late):.0f} us", f"{middle(nginx, late):.0f} us"))
    else:
        rows.append(Row("nginx: memory per stream", "", f"{middle(nginx, growth('nginx')):.1f} KiB"))
        rows.append(Row("nginx: chunk delay, p99", "", f"{middle(nginx, delay):.0f} us, behind schedule {middle(nginx, late):.0f} us"))
    rows.append(Row("(chunk delay without a proxy, p99)", "", f"{middle(reports['mock'], delay):.0f} us, behind schedule {middle(reports['mock'], late):.0f} us"))
    for name, own in reports.items():
        if name != "mock":
            rows.append(Row(f"(CPU per stream of {name})", "", f"{split(own, name)} us; {middle(own, cpu('mock')):.0f} us mock, {middle(own, cpu('generator')):.0f} us generator"))
    return rows


def per_stream(process):
    return (process["proportional_kibibytes_peak"] - process["proportional_kibibytes_before"]) / STREAMS


BODY_CONNECTIONS = 16


def bodies(bench, options):
    """Request bodies of 1 MiB, 16 connections."""
    mock = bench.mock()
    servers = servers_for(bench, options, mock, 1000)
    reports = interleaved(bench, options, servers, mock, "--message-bytes", 1024 * 1024, "--connections", BODY_CONNECTIONS)
    stop_all(*servers, mock)
    speed = lambda report: report["sent_mebibytes_per_second"]
    nginx, ours = reports["nginx"], reports.get("gpt-load")
    rows = []
    if ours:
        rows.append(at_least("request bodies of 1 MiB, 16 connections", "0.9 x nginx", "MiB/s", middle(ours, speed), middle(nginx, speed), 0.9))
        peak = lambda name: lambda report: report["processes"][name]["proportional_kibibytes_peak"] / 1024
        memory, limit = middle(ours, peak("gpt-load")), 30 + 4 * BODY_CONNECTIONS
        rows.append(Row("peak memory with these bodies", f"bounded: {limit} MiB", f"{memory:.0f} MiB", f"{middle(nginx, peak('nginx')):.0f} MiB", good=memory <= limit))
        rows.append(failures_row("the body runs", ours))
    for name, own in reports.items():
        rows.append(Row(f"(CPU per MiB of {name})", "", f"{split(own, name)} us; {middle(own, cpu('mock')):.0f} us mock, {middle(own, cpu('generator')):.0f} us generator; {middle(own, speed):.0f} MiB/s"))
    return rows


def million_keys(bench, options):
    """A million keys in one group against ten."""
    mock = bench.mock()
    few, many = bench.gpt_load(mock, 10), bench.gpt_load(mock, 1_000_000)
    memory = {"few": few.proportional_kibibytes(), "many": many.proportional_kibibytes()}
    rates = {"few": [], "many": []}
    for _ in range(max(options.rounds, 3)):
        for name, server in (("few", few), ("many", many)):
            report = bench.load(server, paths(server), "--seconds", options.seconds, "--connections", 64, watch=(server, mock))
            rates[name].append(report["requests_per_second"])
    stop_all(few, many, mock)
    few_rate, many_rate = median(rates["few"]), median(rates["many"])
    per_key = (memory["many"] - memory["few"]) * 1024 / 1_000_000 - KEY_BYTES
    return [
        Row("throughput with 1,000,000 keys against 10", "within 3 %", f"{many_rate:.0f} /s against {few_rate:.0f} /s", ratio=f"{many_rate / few_rate:.3f}", good=many_rate >= 0.97 * few_rate),
        Row("ready with 1,000,000 keys in SQLite", "5 s", f"{many.ready_seconds:.2f} s", good=many.ready_seconds <= 5),
        Row("memory per key beside its text", "200 bytes", f"{per_key:.0f} bytes", good=per_key <= 200),
    ]


def idle(bench, options):
    """Memory at rest and time to start, with an empty database."""
    times, memory = [], []
    for _ in range(max(options.rounds, 5)):
        with bench.gpt_load() as server:
            times.append(server.wait_for("GET", "/health") * 1000)
            memory.append(server.proportional_kibibytes() / 1024)
    return [
        Row("memory when idle", "30 MiB", f"{median(memory):.1f} MiB", good=median(memory) <= 30),
        Row("start to serving, empty database", "100 ms", f"{median(times):.0f} ms", good=median(times) < 100),
    ]


SCENARIOS = {
    "small-chat": small_chat,
    "latency": latency,
    "streams": streams,
    "bodies": bodies,
    "million-keys": million_keys,
    "idle": idle,
    "keys": management.keys,
    "log-search": management.log_search,
}
NEED_GPT_LOAD = ("million-keys", "idle", "keys", "log-search")
