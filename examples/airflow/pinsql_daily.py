"""Cleans the posts of a day into three tables, and runs the nine questions over them.

The settings are variables of Airflow, such as `pinsql_raw`, and a connection for AWS. README.md lists them.
"""

from datetime import datetime, timedelta, timezone

from pinsql_operator import PinsqlOperator, day, setting

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, TaskGroup

TABLES = ["pin_data", "geo_data", "user_data"]
QUESTIONS = [
    "country_of_top_poster",
    "median_followers_by_age_group",
    "median_followers_by_join_year",
    "median_followers_by_join_year_and_age_group",
    "top_category_by_age_group",
    "top_category_by_country",
    "top_category_by_year",
    "top_poster_by_country",
    "users_joined_by_year",
]

with DAG(
    dag_id="pinsql_daily",
    description="Posts of a day, cleaned into tables and asked nine questions",
    # A run processes the day of its logical date, and starts when that day is over.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # Runs replace the same tables. With two runs at once, the questions could read the tables of the other run.
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "date": Param(
            None, type=["null", "string"], format="date",
            description="The day to clean again; without it, the day of the run",
        ),
    },
    user_defined_macros={"day": day, "setting": setting},
    tags=["pinsql"],
) as dag:
    with TaskGroup("clean") as clean:
        for table in TABLES:
            PinsqlOperator(
                task_id=table,
                file="{{ setting('cleaning') }}/clean_" + table.removesuffix("_data") + ".sql",
                parameters={"raw": "{{ setting('raw') }}", "date": "{{ day() }}"},
                # DAGs that wait for these tables, such as pinsql_databricks.py, run when the tables are new.
                outlets=[Asset(table)],
            )

    with TaskGroup("ask") as ask:
        for question in QUESTIONS:
            PinsqlOperator(
                task_id=question,
                file=f"sql/queries/{question}.sql",
                result="{{ setting('results') }}/" + question + ".csv",
            )

    clean >> ask
