"""A client of Unity Catalog's REST API that is not pinsql's: asks what it is told, in order, and prints the answers.

Arguments: the endpoint, the token, and a list of requests as JSON: a method, a path below `/api/`, and maybe a body. The
answers come back as one JSON list of statuses and bodies; a body that is no JSON is a text.
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
