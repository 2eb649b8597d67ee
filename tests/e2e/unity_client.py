"""A client of Unity Catalog's REST API that is not part of pinsql. It sends requests in order and prints the responses.
Arguments: the endpoint, the token, and a JSON list of requests: a method, a path below `/api/`, and an optional body.
Prints one JSON list of statuses and bodies. A body that is not JSON is a string.
"""

import json
import sys

import requests

endpoint, token, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
session = requests.Session()
session.headers["Authorization"] = f"Bearer {token}"


def answer(method, path, body=None):
    given = session.request(method, f"{endpoint}/api/{path}", json=body, timeout=60)
    try:
        return [given.status_code, given.json()]
    except requests.JSONDecodeError:
        return [given.status_code, given.text]


json.dump([answer(*request) for request in asked], sys.stdout)
