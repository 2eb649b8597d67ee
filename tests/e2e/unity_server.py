"""Runs minilake, an emulator of Databricks' REST API, as a Unity Catalog that requires a token.
Arguments: a port on loopback, a folder for this server only, and the token. DuckDB runs the SQL. It reads Delta tables
from their logs with the installed extension, not with one from the network.
This script adds two behaviours that minilake lacks, as observed in the open-source Unity Catalog server: a list has at
most 100 items, with the last name as the token of the next page, and a request without a valid token gets 401.
"""

import glob
import json
import os
import shutil
import sys
from urllib.parse import parse_qs

import duckdb
import duckdb_extension_delta
import uvicorn

PAGE_MAX = 100
LISTS = ["catalogs", "schemas", "tables"]

port, folder, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def install_extension():
    [platform] = duckdb.sql("PRAGMA platform").fetchone()
    target = os.path.join(folder, "extensions", f"v{duckdb.__version__}", platform)
    package = os.path.dirname(duckdb_extension_delta.__file__)
    [extension] = glob.glob(os.path.join(package, "extensions", "**", "*.duckdb_extension"), recursive=True)
    os.makedirs(target)
    shutil.copy(extension, target)


install_extension()
# minilake writes files about the tables' locations below its working directory.
os.chdir(folder)
os.environ["MINILAKE_DATA_DIR"] = os.path.join(folder, "data")
os.environ["MINILAKE_DUCKDB_EXTENSION_DIR"] = os.path.join(folder, "extensions")
os.environ["MINILAKE_SERVICES"] = "unity_catalog,sql_statements,sql_warehouses"
os.environ["MINILAKE_NOTEBOOK"] = "0"

# minilake reads its settings at import.
import minilake.app  # noqa: E402
from fastapi.responses import JSONResponse, Response  # noqa: E402

# minilake would download a container for jobs. No test runs jobs.
minilake.app.prewarm_spark_image = lambda: None
app = minilake.app.create_app()


@app.middleware("http")
async def guard(request, call_next):
    given = request.headers.get("Authorization", "")
    if given != f"Bearer {token}":
        message = "Invalid access token." if given.startswith("Bearer ") else "No authorization found."
        return JSONResponse({"error_code": "UNAUTHENTICATED", "message": message}, 401)
    answer = await call_next(request)
    name = request.url.path.rpartition("/")[2]
    if request.method != "GET" or name not in LISTS or answer.status_code != 200:
        return answer
    body = json.loads(b"".join([part async for part in answer.body_iterator]))
    query = {key: values[0] for key, values in parse_qs(request.url.query).items()}
    return Response(json.dumps(page(body[name], name, query)), media_type="application/json")


def page(rows, name, query):
    rows = sorted(rows, key=lambda row: row["name"])
    rows = [row for row in rows if row["name"] > query.get("page_token", "")]
    length = min(int(query.get("max_results", 0)) or PAGE_MAX, PAGE_MAX)
    more = rows[length - 1]["name"] if len(rows) >= length else None
    return {name: rows[:length], "next_page_token": more}


# The other parser loses the body of a request that offers HTTP/2, as Java's client does.
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", http="h11")
