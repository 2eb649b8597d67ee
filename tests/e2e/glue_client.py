"""A Glue client that is not part of pinsql. It runs calls in order and prints the results.
Arguments: the endpoint and a JSON list of calls. In each, `do` is the name of a method of boto3's client, and the other
fields are its arguments. A method with pages returns the items of all pages as one list. Prints the results as one JSON
list. The result of a failed call is the error code of the service.
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
