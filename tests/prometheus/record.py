"""Queries a real Prometheus (Debian's package) and writes its results to recorded.json.

Instants are between minutes: ranges then select the same samples whether they include their begin
(Prometheus 2) or not (Prometheus 3, and marketlake). Run: python3 tests/prometheus/record.py
"""
import json, math, os, pathlib, subprocess, tempfile, time, urllib.parse, urllib.request

START, MINUTES = 1795510800, 240  # 2026-11-24T09:00:00Z
SERIES = {
    "binance:btcusdt": lambda i: 90000 + 250 * math.sin(i / 17) + (i * 7919 % 101) / 4,
    "binance:ethusdt": lambda i: 3000 + 40 * math.cos(i / 11) + (i * 104729 % 89) / 8,
    "kraken:btcusdt": lambda i: 90010 + 240 * math.sin(i / 17) + (i * 31 % 57) / 2,
    "kraken:hottry": lambda i: None if 60 <= i < 75 else 0.06 + (i * 13 % 29) / 10000,
    "binance:flat": lambda i: 5,
    "binance:btcusdt:volume": lambda i: 10 + (i * 37 % 41) + (500 if i % 97 == 0 else 0),
    "binance:ethusdt:volume": lambda i: 100 + (i * 53 % 61),
}
EXPRESSIONS = """price
price{market="binance"}
price{pair=~"btc.*|hot.*",market!="binance"}
{__name__=~"price|volume",pair="ethusdt"}
avg_over_time(price[10m])
min_over_time(price[1h])
max_over_time(price{pair="btcusdt"}[90m])
sum_over_time(volume[30m])
count_over_time(price{pair="hottry"}[45m])
last_over_time(price[20m])
stddev_over_time(price[1h])
stdvar_over_time(price[30m])
quantile_over_time(0.9, price[1h])
present_over_time(price[5m])
delta(price[1h])
idelta(price[5m])
deriv(price[30m])
predict_linear(price[1h], 3600)
changes(price[1h])
resets(volume[1h])
topk(2, price)
bottomk(1, volume)
sum by (market) (price)
avg without (market) (price)
stddev(price{pair="btcusdt"})
quantile(0.5, price)
count(price) by (pair)
count_values("v", price{pair="flat"})
price * 2 + 1
price{market="binance",pair="btcusdt"} - ignoring(market) price{market="kraken",pair="btcusdt"}
price > 1000
price > bool 1000
(price - avg_over_time(price[1h])) / stddev_over_time(price[1h])
price / ignoring(market) group_left price{market="kraken",pair="btcusdt"}
price{pair="btcusdt"} and on(market) price{pair="ethusdt"}
price unless price{market="kraken"}
price{market="kraken"} or price{pair="flat"}
price offset 30m
price @ 1795512630
max_over_time(avg_over_time(price[270s])[30m:1m])
abs(price - 90000)
round(price, 0.5)
clamp(price, 10, 3000)
ln(price)
sqrt(volume)
-price
scalar(price{pair="flat"}) * 3
vector(7)
time()
timestamp(price)
sort_desc(price)
absent(price{pair="nope"})
absent_over_time(price{pair="hottry"}[10m])
label_replace(price, "base", "$1", "pair", "(.*)usdt")
label_join(price, "id", ":", "market", "pair")
10 % 4 + 2 ^ 3
volume % 7
mad_over_time(price[10m])""".splitlines()
FROM, TO, STEP = START + 7230, START + 14070, 540


def labels(metric):
    market, pair, *measure = metric.split(":")
    return (measure or ["price"])[0], f'market="{market}",pair="{pair}"'


def ask(port, path, **parameters):
    url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["data"]


def main():
    samples = [
        [metric, START + 60 * i, repr(round(of(i), 6))]
        for metric, of in SERIES.items() for i in range(MINUTES) if of(i) is not None
    ]
    with tempfile.TemporaryDirectory() as folder:
        lines = ["# TYPE price gauge", "# TYPE volume gauge"]
        for name in ("price", "volume"):
            for metric, ts, value in samples:
                own, rest = labels(metric)
                if own == name:
                    lines.append(f"{name}{{{rest}}} {value} {ts}")
        text = pathlib.Path(folder, "samples.txt")
        text.write_text("\n".join([lines[0]] + [l for l in lines if l.startswith("price{")] + [lines[1]] + [l for l in lines if l.startswith("volume{")] + ["# EOF", ""]))
        subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), folder + "/data"], check=True, stdout=subprocess.DEVNULL)
        config = pathlib.Path(folder, "prometheus.yml")
        config.write_text("")
        port = 19090
        server = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.time() + 30
            while True:
                try:
                    ask(port, "query", query="1")
                    break
                except OSError:
                    if time.time() > deadline:
                        raise
                    time.sleep(0.2)
            recorded = []
            for expression in EXPRESSIONS:
                try:
                    instant = ask(port, "query", query=expression, time=TO)
                    span = ask(port, "query_range", query=expression, start=FROM, end=TO, step=STEP)
                except urllib.error.HTTPError as error:
                    print("not known to this Prometheus:", expression, error.read()[:120])
                    continue
                recorded.append({"expression": expression, "instant": instant, "range": span})
            version = ask(port, "status/buildinfo")["version"]
        finally:
            server.terminate()
            server.wait()
    out = pathlib.Path(__file__).parent / "recorded.json"
    document = {"prometheus": version, "time": TO, "start": FROM, "end": TO, "step": STEP, "samples": samples, "recorded": recorded}
    out.write_text(json.dumps(document, separators=(",", ":")).replace('{"expression"', '\n{"expression"').replace('"samples"', '\n"samples"').replace('"recorded"', '\n"recorded"') + "\n")
    print(len(recorded), "expressions,", out.stat().st_size, "bytes")


main()
