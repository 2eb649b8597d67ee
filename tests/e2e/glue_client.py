"""A Glue client that is not pinsql's: does what it is told, in order, and prints what it was answered.

Arguments: the endpoint and a list of calls, both JSON. Each call is an object whose `do` names a method of boto3's
client and whose other fields are its arguments; a method that answers in pages gives the list of all of them. The
answers come back as one JSON list; an error of the service is its code.
"""

import json
import os
import sys

import boto3
from botocore.exceptions import ClientError

endpoint, calls = sys.argv[1], json.loads(sys.argv[2])
glue = boto3.client("glue", endpoint_url=endpoint, region_name=os.environ["AWS_REGION"])


def answer(do, **arguments):
    try:
        if glue.can_paginate(do):
            return glue.get_paginator(do).paginate(**arguments).build_full_result()
        given = getattr(glue, do)(**arguments)
    except ClientError as error:
        return {"Error": error.response["Error"]["Code"]}
    given.pop("ResponseMetadata")
    return given


json.dump([answer(**call) for call in calls], sys.stdout, default=str)
