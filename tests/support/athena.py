"""Emulates Athena for tests: its JSON 1.1 protocol on loopback, over the same S3 files.

sqlglot translates SQL from Athena's dialect, and DuckDB runs it. Tables contain the files that the
manifests of their partitions list when a query begins. Workgroups, their limits and their faults
are set at /control. It ends when its standard input closes.
"""

import csv
import datetime
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import botocore
import duckdb
import sqlglot
from sqlglot import exp, tokens

SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
SYMLINKS = "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat"
TYPES = {"string": "varchar", "timestamp": "timestamp", "tinyint": "tinyint", "int": "integer", "bigint": "bigint", "double": "double"}
LITERAL = re.compile(r"^('([^']|'')*'|-?\d+(\.\d+)?)$", re.S)
CACHE = tempfile.TemporaryDirectory()
LOCK = threading.RLock()

workgroups = {}  # name -> its settings
databases = {}  # name -> {"tables": {}, "views": {}}
executions = {}  # id -> Execution
begun = {}  # (workgroup, token) -> id


class Refused(Exception):
    def __init__(self, kind, message, status=400, **more):
        super().__init__(message)
        self.kind, self.message, self.status, self.more = kind, message, status, more


class Failed(Exception):
    """A query that starts and fails."""


class Lost(Exception):
    """The request gets no response."""


class Execution:
    def __init__(self, workgroup, body):
        self.id = str(uuid.uuid4())
        self.workgroup, self.body = workgroup, body
        self.state, self.reason, self.retryable = "QUEUED", None, False
        self.scanned, self.header, self.rows = 0, None, []
        self.stop = threading.Event()
        settings = workgroups[workgroup]
        output = settings.get("output") or body["ResultConfiguration"]["OutputLocation"]
        self.location = f"{output.rstrip('/')}/{self.id}.csv"


# What DuckDB is told.


def literals(sql, parameters):
    """Replaces question marks by the parameters' text, as Athena does."""
    marks = [t for t in sqlglot.tokenize(sql, read="athena") if t.token_type == tokens.TokenType.PLACEHOLDER]
    if len(marks) != len(parameters):
        raise Failed(f"INVALID_PARAMETER_USAGE: Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}")
    for token, text in reversed(list(zip(marks, parameters))):
        if not LITERAL.match(text):
            raise Failed(f"SYNTAX_ERROR: {text} is no literal")
        sql = sql[: token.start] + text + sql[token.end + 1 :]
    return sql


def bounds(tree):
    """Returns the partitions that a query reads; it must name them."""
    found = []
    for node in tree.find_all(exp.Between):
        if node.this.name == "dt":
            found.append((node.args["low"].this, node.args["high"].this))
    for node in tree.find_all(exp.EQ):
        if node.this.name == "dt" and isinstance(node.expression, exp.Literal):
            found.append((node.expression.this, node.expression.this))
    selects = [s for s in tree.find_all(exp.Select) if any(t.name in ("samples", "rollups", "prices") for t in s.find_all(exp.Table) if t.parent_select is s)]
    if len(found) < len(selects):
        raise Failed("CONSTRAINT_VIOLATION: a table is read without bounds of dt")
    return min(low for low, _ in found), max(high for _, high in found)


def days(low, high):
    day, last = datetime.date.fromisoformat(low), datetime.date.fromisoformat(high)
    while day <= last:
        yield day.isoformat()
        day += datetime.timedelta(days=1)


def s3(settings):
    if "client" not in settings:
        settings["client"] = boto3.client(
            "s3",
            endpoint_url=settings["endpoint"],
            aws_access_key_id=settings["key"],
            aws_secret_access_key=settings["secret"],
            region_name="us-east-1",
            # s3s-fs replaces an object and its checksum one after the other: a reader between would see one of each.
            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}, response_checksum_validation="when_required"),
        )
    return settings["client"]


def split(uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def fetched(settings, uri):
    """A segment's object, which never changes."""
    name = hashlib.sha256((settings["endpoint"] + uri).encode()).hexdigest()
    path = os.path.join(CACHE.name, name)
    if not os.path.exists(path):
        bucket, key = split(uri)
        try:
            body = s3(settings).get_object(Bucket=bucket, Key=key)["Body"].read()
        except botocore.exceptions.ClientError as error:
            raise Failed(f"HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split {uri}: {error}")
        with tempfile.NamedTemporaryFile(dir=CACHE.name, delete=False) as file:
            file.write(body)
        os.rename(file.name, path)
    return path


def listed(settings, prefix):
    """Returns the URLs that the manifests of a partition list."""
    bucket, key = split(prefix)
    found = s3(settings).list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
    for item in found:
        text = s3(settings).get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
        yield from text.split()


def table_sql(execution, settings, table, low, high):
    columns = ", ".join(f"cast({name} as {TYPES[kind]}) as {name}" for name, kind in table["columns"])
    parts = [f"select {', '.join(f'null::{TYPES[kind]} as {name}' for name, kind in table['columns'])}, null::varchar as dt where false"]
    for day in days(max(low, table["first"]), high):
        paths = [fetched(settings, uri) for uri in listed(settings, table["template"].replace("${dt}", day))]
        execution.scanned += sum(os.path.getsize(path) for path in paths)
        if paths:
            parts.append(f"select {columns}, '{day}' as dt from read_parquet({paths!r})")
    if settings.get("limit") and execution.scanned > settings["limit"]:
        raise Failed("Bytes scanned limit was exceeded")
    return " union all ".join(parts)


def run(execution):
    settings = workgroups[execution.workgroup]
    body = execution.body
    sql = body["QueryString"]
    if ddl(sql):
        return
    database = body["QueryExecutionContext"]["Database"]
    if database not in databases:
        raise Failed(f"SCHEMA_NOT_FOUND: line 1:1: Schema '{database}' does not exist")
    known = databases[database]
    sql = literals(sql, body.get("ExecutionParameters", []))
    tree = sqlglot.parse_one(sql, read="athena")
    low, high = bounds(tree)
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    named = {table.name for table in tree.find_all(exp.Table)} - ctes
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'; set threads = 1")
    connection.execute(f'create schema "{database}"; use "{database}"')
    views = [name for name in named if name in known["views"]]
    for name in named | ({"samples"} if views else set()):
        if name in known["tables"]:
            connection.execute(f"create view {name} as {table_sql(execution, settings, known['tables'][name], low, high)}")
        elif name not in known["views"]:
            raise Failed(f"TABLE_NOT_FOUND: line 1:1: Table 'awsdatacatalog.{database}.{name}' does not exist")
    for name in views:
        connection.execute(sqlglot.transpile(known["views"][name], read="athena", write="duckdb")[0])
    # An end that changes nothing is left out: DuckDB's has none.
    for node in tree.find_all(exp.Reduce):
        finish = node.args["finish"]
        assert finish.this.name == finish.expressions[0].name, "reduce ends with what it has"
        node.set("finish", None)
    try:
        result = connection.execute(tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE))
    except duckdb.Error as error:
        raise Failed(f"GENERIC_INTERNAL_ERROR: {error}")
    execution.header = [column[0] for column in result.description]
    execution.rows = [[text(value) for value in row] for row in result.fetchall()]


DATABASE = re.compile(r"\s*create database if not exists `(\w+)`", re.I)
TABLE = re.compile(r"\s*create external table if not exists `(\w+)`\.`(\w+)` \((.*?)\)\ncomment '[^']*'\npartitioned by \(`dt` string\)", re.I | re.S)
VIEW = re.compile(r'\s*create or replace view "(\w+)"\."(\w+)" as', re.I)


def ddl(sql):
    if found := DATABASE.match(sql):
        databases.setdefault(found[1], {"tables": {}, "views": {}})
    elif found := TABLE.match(sql):
        assert sqlglot.parse_one(sql, read="athena").kind == "TABLE"
        if found[1] not in databases:
            raise Failed(f"FAILED: SemanticException [Error 10072]: Database does not exist: {found[1]}")
        if SERDE not in sql or f"inputformat '{SYMLINKS}'" not in sql:
            raise Failed("HIVE_UNSUPPORTED_FORMAT: expected Parquet by way of symlinks")
        properties = dict(re.findall(r"'([\w.]+)' = '([^']+)'", sql))
        assert properties["projection.enabled"] == "true" and properties["projection.dt.type"] == "date", properties
        table = {
            "columns": re.findall(r"^  `(\w+)` (\w+)", found[3], re.M),
            "template": properties["storage.location.template"],
            "first": properties["projection.dt.range"].split(",")[0],
        }
        databases[found[1]]["tables"].setdefault(found[2], table)
    elif found := VIEW.match(sql):
        databases[found[1]]["views"][found[2]] = sql
    else:
        return False
    return True


def text(value):
    """Formats a value as Athena does."""
    if value is None:
        return None
    if isinstance(value, float):
        return double(value)
    return str(value)


def double(value):
    """Formats a double as Java does: from 0.001 to 10^7 without an exponent."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        plain = repr(value)
        return plain if "e" not in plain else f"{value:.17f}"
    mantissa, _, exponent = f"{value:.17e}".partition("e")
    for digits in range(17):
        mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
        if float(f"{mantissa}e{exponent}") == value:
            break
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


def work(execution):
    settings = workgroups[execution.workgroup]
    execution.state = "RUNNING"
    try:
        if slow := fault(execution.workgroup, "Run", "slow"):
            execution.stop.wait(slow["seconds"])
        if failed := fault(execution.workgroup, "Run", "failed"):
            execution.retryable = failed.get("retryable", False)
            raise Failed(failed["reason"])
        if not execution.stop.is_set():
            run(execution)
        if execution.header is not None:
            file = io.StringIO()
            csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([execution.header, *execution.rows])
            bucket, key = split(execution.location)
            s3(settings).put_object(Bucket=bucket, Key=key, Body=file.getvalue().encode())
        execution.state = "CANCELLED" if execution.stop.is_set() else "SUCCEEDED"
    except Failed as error:
        execution.reason = str(error)
        execution.state = "CANCELLED" if "limit was exceeded" in str(error) else "FAILED"
    except Exception as error:  # A fault of the stand-in itself must be seen.
        execution.reason, execution.state = f"stand-in: {type(error).__name__}: {error}", "FAILED"
    finally:
        with LOCK:
            settings["running"] -= 1


# What is answered.


def fault(workgroup, operation, kind):
    """Takes one occurrence of a configured fault."""
    with LOCK:
        for one in workgroups[workgroup]["faults"]:
            if one["kind"] == kind and one.get("operation", operation) == operation and one["times"] > 0:
                one["times"] -= 1
                return one
    return None


def refuse(workgroup, operation):
    if fault(workgroup, operation, "throttled"):
        raise Refused("TooManyRequestsException", "You have exceeded the limit for the number of queries you can run concurrently.", Reason="CONCURRENT_QUERY_LIMIT_EXCEEDED")
    if fault(workgroup, operation, "internal"):
        raise Refused("InternalServerException", "something broke", 500)
    if fault(workgroup, operation, "expired"):
        raise Refused("ExpiredTokenException", "The security token included in the request is expired")
    if fault(workgroup, operation, "denied"):
        raise Refused("AccessDeniedException", f"User is not authorized to perform: athena:{operation}")
    if fault(workgroup, operation, "mute"):
        raise Lost


def start(body):
    name = body["WorkGroup"]
    if name not in workgroups or workgroups[name].get("deleted"):
        raise Refused("InvalidRequestException", f"WorkGroup {name} is not found.", AthenaErrorCode="INVALID_INPUT")
    refuse(name, "StartQueryExecution")
    settings = workgroups[name]
    token = body["ClientRequestToken"]
    if not 32 <= len(token) <= 128:
        raise Refused("InvalidRequestException", "ClientRequestToken must have 32 to 128 characters")
    if any(not 1 <= len(p) <= 1024 for p in body.get("ExecutionParameters", [])):
        raise Refused("InvalidRequestException", "ExecutionParameters must have 1 to 1024 characters each")
    with LOCK:
        if (name, token) in begun:
            execution = executions[begun[name, token]]
            if execution.body != body:
                raise Refused("InvalidRequestException", "Idempotent parameters do not match")
        else:
            if settings["running"] >= settings.get("most", 20):
                raise Refused("TooManyRequestsException", "too many queries", Reason="CONCURRENT_QUERY_LIMIT_EXCEEDED")
            settings["running"] += 1
            execution = Execution(name, body)
            executions[execution.id], begun[name, token] = execution, execution.id
            settings["seen"].append(execution)
            threading.Thread(target=work, args=[execution], daemon=True).start()
    if fault(name, "StartQueryExecution", "lost"):
        raise Lost
    return {"QueryExecutionId": execution.id}


def look(execution, _):
    status = {"State": execution.state}
    if execution.reason:
        status["StateChangeReason"] = execution.reason
        status["AthenaError"] = {"ErrorCategory": 2, "ErrorType": 1, "Retryable": execution.retryable, "ErrorMessage": execution.reason}
    return {
        "QueryExecution": {
            "QueryExecutionId": execution.id,
            "Status": status,
            "WorkGroup": execution.workgroup,
            "ResultConfiguration": {"OutputLocation": execution.location},
            "Statistics": {"DataScannedInBytes": execution.scanned},
        }
    }


def results(execution, body):
    if execution.state != "SUCCEEDED":
        raise Refused("InvalidRequestException", f"Query has not yet finished. Current state: {execution.state}")
    bucket, key = split(execution.location)
    client = s3(workgroups[execution.workgroup])
    if fault(execution.workgroup, "GetQueryResults", "gone"):
        client.delete_object(Bucket=bucket, Key=key)
    try:
        client.head_object(Bucket=bucket, Key=key)
    except botocore.exceptions.ClientError:
        raise Refused("InvalidRequestException", "Could not find results")
    most = body.get("MaxResults", 1000)
    if not 1 <= most <= 1000:
        raise Refused("InvalidRequestException", "MaxResults is 1 to 1000")
    first = int(body.get("NextToken", "0"))
    rows = [execution.header, *execution.rows]
    page = rows[first : first + most]
    answer = {"ResultSet": {"Rows": [{"Data": [{"VarCharValue": c} if c is not None else {} for c in row]} for row in page], "ResultSetMetadata": {"ColumnInfo": [{"Name": name, "Type": "varchar"} for name in execution.header]}}}
    if first + most < len(rows):
        answer["NextToken"] = str(first + most)
    return answer


def stop(execution, _):
    execution.stop.set()
    return {}


OPERATIONS = {"GetQueryExecution": look, "GetQueryResults": results, "StopQueryExecution": stop}


def answer(target, body):
    operation = target.removeprefix("AmazonAthena.")
    if operation == "StartQueryExecution":
        return start(body)
    execution = executions.get(body.get("QueryExecutionId"))
    if execution is None:
        raise Refused("InvalidRequestException", "QueryExecution was not found")
    refuse(execution.workgroup, operation)
    return OPERATIONS[operation](execution, body)


def control(path, body):
    url = urllib.parse.urlparse(path)
    if url.path == "/control/workgroup":
        settings = {"faults": [], "seen": [], "running": 0}
        workgroups.setdefault(body["name"], settings).update(body)
        return {}
    if url.path == "/control/fault":
        workgroups[body["workgroup"]]["faults"].append({"times": 1, **body})
        return {}
    if url.path == "/control/seen":
        seen = workgroups[body["workgroup"]]["seen"]
        return {"queries": [{"sql": e.body["QueryString"], "parameters": e.body.get("ExecutionParameters", []), "state": e.state, "reason": e.reason, "rows": len(e.rows)} for e in seen]}
    if url.path == "/control/ask":
        execution = Execution(body["workgroup"], {**body, "ResultConfiguration": {"OutputLocation": "s3://none"}})
        try:
            run(execution)
        except Failed as error:
            raise Refused("Failed", str(error))
        return {"rows": execution.rows}
    raise Refused("NotFound", path, 404)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        try:
            target = self.headers.get("X-Amz-Target")
            if target and not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
                raise Refused("MissingAuthenticationToken", "Missing Authentication Token", 403)
            status, found = 200, answer(target, body) if target else control(self.path, body)
        except Refused as refused:
            status, found = refused.status, {"__type": refused.kind, "Message": refused.message, "message": refused.message, **refused.more}
        except Lost:
            self.close_connection = True
            return
        except Exception as error:  # A fault of the stand-in itself must be seen.
            status, found = 500, {"__type": "StandIn", "Message": f"{type(error).__name__}: {error}"}
        text = json.dumps(found).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(text)}\r\n\r\n"
        self.wfile.write(head.encode() + text)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"http://127.0.0.1:{server.server_port}", flush=True)
sys.stdin.read()
os._exit(0)
