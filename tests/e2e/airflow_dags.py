"""Prints what Airflow reads from a folder of DAGs: import errors, and for each task its operator, its upstream tasks, its
retries and its rendered templates for a day. The output is JSON, on the last line, because Airflow prints its own lines first.
usage: airflow_dags.py FOLDER
"""

import json
import sys
from datetime import datetime, timezone

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk.definitions.context import Context

DAY = datetime(2026, 1, 2, tzinfo=timezone.utc)


def task(task):
    told = {
        "operator": type(task).__name__,
        "after": sorted(task.upstream_task_ids),
        "retries": task.retries,
        "retry_seconds": task.retry_delay.total_seconds(),
    }
    # Only the provider's templates are rendered here. The templates of pinsql's tasks are rendered when they run.
    if told["operator"] != "PinsqlOperator":
        task.render_template_fields(Context(ds=DAY.strftime("%Y-%m-%d"), params={}, dag=task.dag, task=task))
        told["rendered"] = {name: getattr(task, name) for name in task.template_fields}
    return told


def main(folder):
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    dags = {name: {"tasks": {each.task_id: task(each) for each in dag.tasks}} for name, dag in bag.dags.items()}
    print(json.dumps({"errors": bag.import_errors, "dags": dags}))


if __name__ == "__main__":
    main(sys.argv[1])
