"""Measures Prometheus (Debian's package) as the peer of rule evaluation: alert_peers.py WORK

10,000 series of the last hour and 10,000 alerting rules, each `value > factor * mean of the hour
before` of one series; then one rule over all series.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request

WORK = os.path.join(sys.argv[1], "alert-peers")
SERIES = 10_000
BASE = "http://127.0.0.1:19091"


def figure(name, value, unit):
    print(f"{name:58} {value:12.3f} {unit}", flush=True)


def history(path):
    """The last hour, a sample a minute, the newest of this minute."""
    now = int(time.time()) // 60 * 60
    with open(path, "w") as out:
        out.write("# TYPE m gauge\n")
        for number in range(SERIES):
            for back in range(60, -1, -1):
                wave = (back * 37 + number * 101) % 2_000
                out.write(f'm{{n="{number:05}"}} {100 + wave / 1000} {now - back * 60}\n')
        out.write("# EOF\n")


def rules(path, many):
    def rule(selector, factor):
        before = f"m{selector}[60m] offset 1m"
        return f"m{selector} > {factor} * avg_over_time({before}) and count_over_time({before}) >= 45"

    with open(path, "w") as out:
        out.write("groups:\n- name: jumps\n  interval: 1m\n  rules:\n")
        for number in range(SERIES if many else 1):
            selector = f'{{n=\\"{number:05}\\"}}' if many else ""
            out.write(f'  - alert: jump{number}\n    expr: "{rule(selector, 3 + number / 10_000)}"\n')


def measured(name, many):
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    text, data = os.path.join(WORK, "m.txt"), os.path.join(WORK, "data")
    history(text)
    create = ["promtool", "tsdb", "create-blocks-from", "openmetrics", text, data]
    subprocess.run(create, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rules(os.path.join(WORK, "rules.yml"), many)
    settings = os.path.join(WORK, "prometheus.yml")
    with open(settings, "w") as out:
        out.write("global: {evaluation_interval: 1m}\nrule_files: [rules.yml]\n")
    server = subprocess.Popen(
        ["prometheus", f"--config.file={settings}", f"--storage.tsdb.path={data}", "--web.listen-address=127.0.0.1:19091"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.time() + 180
        while time.time() < deadline:
            time.sleep(1)
            try:
                with urllib.request.urlopen(f"{BASE}/api/v1/rules", timeout=20) as answer:
                    groups = json.load(answer)["data"]["groups"]
            except OSError:
                continue
            took = groups[0]["evaluationTime"] if groups else 0
            if took:
                bad = sum(1 for r in groups[0]["rules"] if r["health"] != "ok")
                assert bad == 0, f"{bad} rules failed"
                figure(name, took * 1_000, "ms")
                return
        raise SystemExit("Prometheus did not evaluate its rules in time")
    finally:
        server.terminate()
        server.wait()


def version():
    said = subprocess.run(["prometheus", "--version"], capture_output=True, text=True)
    return (said.stdout + said.stderr).split()[2]


measured(f"Prometheus {version()}: 10,000 rules of a series each", True)
measured(f"Prometheus {version()}: one rule over 10,000 series", False)
shutil.rmtree(WORK, ignore_errors=True)
