"""Runs a SQL file with pinsql as a task of Airflow, with settings from Airflow's variables and connections."""

import os
import shutil
import signal
import subprocess
import tempfile
from datetime import timedelta
from pathlib import Path

from jinja2 import pass_context

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import BaseOperator, Variable
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# A setting is the variable `pinsql_<name>`. A setting without a default here must be set.
DEFAULTS = {
    "program": "pinsql",
    "schema": "default",
    "cleaning": "sql",
    "results": "results/{{ ds }}",
    "aws_connection": "",
}

# pinsql's exit code if a service keeps failing. If a signal ends the run, the code is negative, or 130.
SERVICE_FAILED = 3
INTERRUPTED = 130

STOP_SECONDS_MAX = 60

# Credentials come from one place only: with a connection, these variables of the worker are not passed on.
AWS_IDENTITY = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
}


def day_of(context):
    """The day that a run processes: the parameter `date`, or else the day of its logical date.

    A run that is started by hand may have neither. Then it processes the day before, like the scheduled run of its day.
    """
    asked = context["params"].get("date")
    return asked or context.get("ds") or (context["dag_run"].run_after - timedelta(days=1)).strftime("%Y-%m-%d")


@pass_context
def day(context):
    """`{{ day() }}` in a template."""
    return day_of(context)


@pass_context
def setting(context, name):
    """`{{ setting("raw") }}` in a template: the value of the variable `pinsql_raw`, which is a template too.

    In it, `ds` is the day that the run processes, also if the parameter `date` gives another day.
    """
    value = Variable.get(f"pinsql_{name}", default=DEFAULTS.get(name))
    if value is None:
        raise AirflowFailException(f"the variable pinsql_{name} is not set")
    of_run = day_of(context)
    return context.environment.from_string(value).render(
        {**context.get_all(), "ds": of_run, "ds_nodash": of_run.replace("-", "")}
    )


class PinsqlOperator(BaseOperator):
    """Runs one SQL file of the project with `pinsql run`.

    :param file: the SQL file, relative to the folder of the project
    :param parameters: the values of `:name` in the file
    :param result: the file or the `s3://` address for the rows as CSV. An existing file is replaced
    """

    template_fields = (
        "file", "parameters", "result", "program", "project", "warehouse", "schema", "aws_connection",
    )
    ui_color = "#d9ecff"

    def __init__(self, *, file, parameters=None, result=None, **kwargs):
        super().__init__(**kwargs)
        self.file = file
        self.parameters = parameters or {}
        self.result = result
        self.program = "{{ setting('program') }}"
        self.project = "{{ setting('project') }}"
        self.warehouse = "{{ setting('warehouse') }}"
        self.schema = "{{ setting('schema') }}"
        self.aws_connection = "{{ setting('aws_connection') }}"
        self.process = None

    def execute(self, context):
        with tempfile.TemporaryFile() as rows:
            self.run(rows)
            rows.seek(0)
            if self.result:
                self.keep(rows)
        return self.result

    def run(self, rows):
        """Runs pinsql. Rows are written to `rows`, and all other output to the log of the task."""
        command = [self.program, "run", self.file, "--warehouse", self.warehouse, "--schema", self.schema]
        command += ["--format", "csv"]
        for name, value in self.parameters.items():
            command += ["--param", f"{name}={value}"]
        self.log.info("In %s: %s", self.project, " ".join(command))
        try:
            self.process = subprocess.Popen(
                command, cwd=self.project, env=self.environment(), stdin=subprocess.DEVNULL, stdout=rows,
                stderr=subprocess.PIPE, text=True, errors="replace",
            )
        except OSError as error:
            raise AirflowFailException(f"pinsql does not start: {error}") from error
        said = []
        for line in self.process.stderr:
            said.append(line.rstrip())
            self.log.info(line.rstrip())
        self.judge(self.process.wait(), said)

    def judge(self, code, said):
        """Fails the task with the output of pinsql. There is no retry if a retry cannot help."""
        if code == 0:
            return
        error = next((number for number, line in enumerate(said) if line.startswith(("error[", "error:"))), 0)
        reason = "\n".join([f"pinsql ended with exit code {code}", *said[error:]])
        if code in (SERVICE_FAILED, INTERRUPTED) or code < 0:
            raise AirflowException(reason)
        raise AirflowFailException(reason)

    def environment(self):
        """The environment of the worker without the variables of Airflow, and with the credentials of the connection."""
        worker = {name: value for name, value in os.environ.items() if not name.lstrip("_").startswith("AIRFLOW")}
        if not self.aws_connection:
            return worker
        hook = AwsGenericHook(aws_conn_id=self.aws_connection, client_type="s3")
        credentials = hook.get_credentials()
        values = {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.token,
            "AWS_REGION": hook.region_name,
            "AWS_ENDPOINT_URL": hook.conn_config.get_service_endpoint_url("s3"),
        }
        given = {name: value for name, value in values.items() if value}
        return {name: value for name, value in worker.items() if name not in AWS_IDENTITY} | given

    def keep(self, rows):
        """Replaces the result in one step: a reader sees the old rows or the new rows."""
        if self.result.startswith("s3://"):
            bucket, key = S3Hook.parse_s3_url(self.result)
            hook = S3Hook(aws_conn_id=self.aws_connection or None)
            hook.load_file_obj(rows, key, bucket, replace=True)
        else:
            place = Path(self.project, self.result)
            place.parent.mkdir(parents=True, exist_ok=True)
            written = place.with_name(f".{place.name}.{os.getpid()}")
            with written.open("wb") as file:
                shutil.copyfileobj(rows, file)
            written.replace(place)
        self.log.info("The rows are in %s", self.result)

    def on_kill(self):
        """Ends pinsql with the task. Data that is not committed by then is not visible in the tables."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
