"""Runs moto's Glue Data Catalog for a few users. It checks their signatures and permissions.
Arguments: a port on loopback, and the users as JSON: a name with `key`, `secret` and the permissions, such as `glue:Get*`.
moto itself creates keys that cannot be chosen. These are the keys of the S3 server, because one AWS account has one set
of keys for both.
This script adds two behaviours that moto lacks, as in AWS's reference of the Glue API: lists have pages of at most 100
items, and the names of databases and tables are stored in lower case.
"""

import functools
import json
import sys

from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.glue.responses import GlueResponse
from moto.iam.models import iam_backends
from moto.server import main

REGION = "eu-west-1"
PAGE_MAX = 100


def in_pages(method, key):
    @functools.wraps(method)
    def page(self):
        rows = method(self).result[key]
        first = int(self.parameters.get("NextToken") or 0)
        end = first + min(self.parameters.get("MaxResults") or PAGE_MAX, PAGE_MAX)
        more = {"NextToken": str(end)} if end < len(rows) else {}
        return ActionResult({key: rows[first:end]} | more)

    return page


def in_lower_case(request):
    given = json.loads(request.body)
    for stored in {"DatabaseInput", "TableInput"} & given.keys():
        given[stored]["Name"] = given[stored]["Name"].lower()
    return given


for name, key in [("get_databases", "DatabaseList"), ("get_tables", "TableList")]:
    setattr(GlueResponse, name, in_pages(getattr(GlueResponse, name), key))
GlueResponse.parameters = property(in_lower_case)

port, users = sys.argv[1], json.loads(sys.argv[2])
iam = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
for name, user in users.items():
    iam.create_user(REGION, name)
    statement = {"Effect": "Allow", "Action": user["actions"], "Resource": "*"}
    iam.put_user_policy(name, "catalog", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    key = iam.create_access_key(name)
    key.access_key_id, key.secret_access_key = user["key"], user["secret"]
# Without this, every request of every user is allowed.
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0
main(["--host", "127.0.0.1", "--port", port])
