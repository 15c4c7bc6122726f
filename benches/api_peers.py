#!/usr/bin/env python3
"""Measures marketlake, PostGraphile and Postgres with the same requests on the same day:
api_peers.py FOLDER MARKETLAKE OHA

Two requests, each with a thousand arguments: a page of 100 metrics with latest value and rank, and
one metric's day (1,440 samples as rows). FOLDER holds day.parquet and postgraphile/node_modules;
MARKETLAKE and OHA are programs. Postgres and PostGraphile read precomputed ranks from a table, whose
upkeep is not measured. The programs run alone, in turns; each figure is the median of the rounds.
"""

import json
import os
import pwd
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

import duckdb

FOLDER, MARKETLAKE, OHA = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])
WORK = os.path.join(FOLDER, "api-peers")
METRICS = 10_000
PAGE = 100
CONNECTIONS = 32
ROUNDS, SECONDS = 3, 8
FIXED = 100
CONNINFO = f"postgres://postgres@localhost/postgres?host={WORK}"
POSTGRES_PORT = 15432


def postgres_bin():
    found = subprocess.run("ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1", shell=True, capture_output=True, text=True)
    return found.stdout.strip()


def as_postgres(*command):
    """Postgres refuses to be run by root."""
    user = {"user": "postgres", "cwd": WORK} if os.getuid() == 0 else {}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **user)


def psql(sql, source=None):
    command = ["psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", CONNINFO, "-c", sql]
    subprocess.run(command, check=True, stdin=source)


class Postgres:
    """Postgres with the day imported."""

    def __enter__(self):
        self.bin = postgres_bin()
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(WORK, owner.pw_uid, owner.pw_gid)
        data = os.path.join(WORK, "postgres")
        as_postgres(f"{self.bin}/initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync")
        options = f"-h '' -k {WORK} -c shared_buffers=2GB -c max_wal_size=8GB -c fsync=off"
        as_postgres(f"{self.bin}/pg_ctl", "-D", data, "-w", "-l", os.path.join(WORK, "log"), "-o", options, "start")
        self.fill()
        return self

    def fill(self):
        psql("create table metrics (id int primary key, name text not null unique)")
        psql("create table samples (metric_id int not null, ts timestamptz not null, value double precision not null)")
        psql(f"insert into metrics select n, 'm' || lpad(n::text, 5, '0') from generate_series(0, {METRICS - 1}) n")
        rows = os.path.join(WORK, "rows.csv")
        duckdb.sql(f"""copy (select substr(metric::varchar, 2)::int, strftime(ts at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ'), value
                             from '{FOLDER}/day.parquet' order by 1, 2) to '{rows}' (header false)""")
        with open(rows) as source:
            psql("copy samples from stdin (format csv)", source)
        os.remove(rows)
        psql("alter table samples add primary key (metric_id, ts), add foreign key (metric_id) references metrics")
        psql("""create table standings as
                    select metric_id, ts, value, (rank() over (order by spread desc))::int rank, (count(*) over ())::int "of"
                    from (select metric_id, max(ts) ts, (array_agg(value order by ts desc))[1] as value, stddev_samp(value) spread
                          from samples group by metric_id) each""")
        psql("alter table standings add primary key (metric_id), add foreign key (metric_id) references metrics")
        psql("vacuum analyze")

    def __exit__(self, *_):
        as_postgres(f"{self.bin}/pg_ctl", "-D", os.path.join(WORK, "postgres"), "-m", "immediate", "-w", "stop")


class Program:
    """A server over HTTP, until it answers."""

    def __init__(self, name, command, url, environment):
        self.name, self.url = name, url
        log = open(os.path.join(WORK, f"{name}.log"), "w")
        self.child = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log, cwd=WORK)
        deadline = time.time() + 60
        while True:
            try:
                self.request("{__typename}")
                return
            except OSError:
                if time.time() > deadline or self.child.poll() is not None:
                    raise
                time.sleep(0.1)

    def request(self, document):
        body = json.dumps({"query": document}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
        assert "errors" not in said, said
        return said["data"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()


def marketlake(name, port, environment):
    settings = {
        "MARKETLAKE_SERVER__LISTEN": f"127.0.0.1:{port}",
        "MARKETLAKE_OPERATIONS__LISTEN": "off",
        "MARKETLAKE_SERVER__RATE_LIMIT_PER_MINUTE": "0",
        "MARKETLAKE_FEEDS": "[]",
        **environment,
    }
    command = [MARKETLAKE, "up", "--role", "api", "--data", os.path.join(WORK, "lake")]
    return Program(name, command, f"http://127.0.0.1:{port}/graphql", settings)


def postgraphile(port):
    node = os.path.join(FOLDER, "postgraphile", "node_modules", ".bin", "node")
    program = os.path.join(FOLDER, "postgraphile", "node_modules", "postgraphile", "dist", "cli-run.js")
    command = [node, program, "-c", CONNINFO, "-s", "public", "-P", "postgraphile/presets/amber", "-n", "127.0.0.1", "-p", str(port)]
    return Program("PostGraphile", command, f"http://127.0.0.1:{port}/graphql", {"NODE_ENV": "production", "GRAPHILE_ENV": "production"})


class Contestant:
    """A peer, and the way to send it requests."""

    def __init__(self, name, program, questions):
        self.name, self.program, self.questions = name, program, questions

    def write(self, kind):
        path = os.path.join(WORK, f"{self.name}-{kind}".replace(" ", "-").replace(",", ""))
        with open(path, "w") as out:
            for document in self.questions[kind]:
                out.write(json.dumps({"query": document}) + "\n")
        return path

    def load(self, kind, rate=None):
        """Returns requests per second, and the 50th and 99th percentile in milliseconds."""
        # PostGraphile packs nothing, so neither does marketlake.
        command = [OHA, "--no-tui", "--output-format", "json", "--disable-compression", "-z", f"{SECONDS}s", "-c", str(CONNECTIONS), "-m", "POST"]
        command += ["-T", "application/json", "-Z", self.write(kind), self.program.url]
        if rate:
            command += ["-q", str(rate), "--latency-correction"]
        report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        statuses = report["statusCodeDistribution"]
        assert list(statuses) == ["200"], (self.name, statuses, report["errorDistribution"])
        latency = report["latencyPercentiles"]
        return report["summary"]["requestsPerSec"], latency["p50"] * 1e3, latency["p99"] * 1e3


class Sql:
    """Postgres itself, by pgbench, over its socket."""

    name = "Postgres, SQL by pgbench"
    scripts = {
        "page": """\\set low 100 * random(0, 99)
select m.name, s.value, s.rank, s."of" from metrics m join standings s on s.metric_id = m.id where m.id >= :low order by m.id limit 100;
""",
        "series": "\\set id random(0, 9999)\nselect ts, value from samples where metric_id = :id order by ts;\n",
    }

    def load(self, kind, rate=None):
        script, logs = os.path.join(WORK, f"{kind}.sql"), os.path.join(WORK, "pgbench")
        shutil.rmtree(logs, ignore_errors=True)
        os.makedirs(logs)
        with open(script, "w") as out:
            out.write(self.scripts[kind])
        command = ["pgbench", "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "2", "-T", str(SECONDS), "-f", script, "-l", CONNINFO]
        if rate:
            command += ["--rate", str(rate)]
        subprocess.run(command, check=True, capture_output=True, cwd=logs)
        times = []
        for name in os.listdir(logs):
            with open(os.path.join(logs, name)) as log:
                times += [int(line.split()[2]) / 1e3 for line in log]
        times.sort()
        return len(times) / SECONDS, times[len(times) // 2], times[len(times) * 99 // 100]


def pages(program, document, root):
    """Returns the request for each page of all metrics, and the names in the responses."""
    questions, names, after = [], [], ""
    while True:
        question = document.replace("AFTER", after)
        page = program.request(question)[root]
        questions.append(question)
        names += [node["name"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return questions, names
        after = f', after: "{page["pageInfo"]["endCursor"]}"'


def contestants(peer, ours, uncached):
    their_page = f"{{allMetrics(first: {PAGE}AFTER) {{nodes {{name standingByMetricId {{value rank of}}}} pageInfo {{endCursor hasNextPage}}}}}}"
    our_page = f"{{metrics(first: {PAGE}AFTER) {{nodes {{name latest {{value}} rank {{rank of}}}} pageInfo {{endCursor hasNextPage}}}}}}"
    their_series = '{metricByName(name: "NAME") {samplesByMetricId {nodes {ts value}}}}'
    our_series = '{timeseries(metrics: ["NAME"]) {samples(first: 1440) {nodes {timestamp value}}}}'
    our_columns = '{timeseries(metrics: ["NAME"]) {times values}}'
    their_pages, their_names = pages(peer, their_page, "allMetrics")
    our_pages, our_names = pages(ours, our_page, "metrics")
    assert their_names == our_names and len(our_names) == METRICS
    of_each = lambda document: [document.replace("NAME", name) for name in our_names[:: METRICS // 1_000]]
    check(peer, ours, our_names[42], their_series, our_series)
    their = {"page": their_pages, "series": of_each(their_series)}
    own = {"page": our_pages, "series": of_each(our_series), "columns": of_each(our_columns)}
    return [
        Contestant("marketlake", ours, own),
        Contestant("marketlake, no answer kept", uncached, own),
        Contestant("PostGraphile", peer, their),
        Sql(),
    ]


def check(peer, ours, name, their_series, our_series):
    """Checks that all peers return the same for one metric."""
    theirs = peer.request(their_series.replace("NAME", name))["metricByName"]["samplesByMetricId"]["nodes"]
    own = ours.request(our_series.replace("NAME", name))["timeseries"][0]["samples"]["nodes"]
    assert len(theirs) == len(own) == 1440
    assert [float(row["value"]) for row in own] == [row["value"] for row in theirs]
    rank = peer.request(f'{{metricByName(name: "{name}") {{standingByMetricId {{value rank of}}}}}}')["metricByName"]["standingByMetricId"]
    mine = ours.request(f'{{metric(name: "{name}") {{latest {{value}} rank {{rank of}}}}}}')["metric"]
    assert (rank["rank"], rank["of"], rank["value"]) == (mine["rank"]["rank"], mine["rank"]["of"], float(mine["latest"]["value"]))
    print(f"all agree: {name} is {rank['rank']} of {rank['of']}", flush=True)


def measure(everybody):
    titles = {"page": "page of 100", "series": "a day, rows", "columns": "a day, columns"}
    found = {}
    for number in range(ROUNDS):
        for kind in titles:
            for one in everybody:
                if kind in getattr(one, "questions", Sql.scripts):
                    found.setdefault((kind, one.name), []).append(one.load(kind))
    for kind, title in titles.items():
        for one in everybody:
            rounds = found.get((kind, one.name))
            if rounds:
                rate, p50, p99 = (statistics.median(values) for values in zip(*rounds))
                _, fixed50, fixed99 = one.load(kind, FIXED)
                print(
                    f"{title:15} {one.name:27} open: {rate:8.0f} requests/s, p50 {p50:7.2f} ms, p99 {p99:7.2f} ms   "
                    f"at {FIXED}/s: p50 {fixed50:6.2f} ms, p99 {fixed99:6.2f} ms",
                    flush=True,
                )


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    lake = os.path.join(WORK, "lake")
    day = os.path.join(WORK, "day.parquet")
    duckdb.sql(f"copy (select metric::varchar metric, ts, value from '{FOLDER}/day.parquet' order by metric, ts) to '{day}'")
    subprocess.run([MARKETLAKE, "import", "--data", lake, "--market", "bench", day], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.remove(day)
    with Postgres(), postgraphile(15678) as peer, marketlake("marketlake", 15679, {}) as ours:
        with marketlake("uncached", 15680, {"MARKETLAKE_SERVER__CACHE_MEGABYTES": "0"}) as uncached:
            measure(contestants(peer, ours, uncached))
    shutil.rmtree(WORK, ignore_errors=True)


main()
