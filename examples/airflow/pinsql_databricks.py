"""Registers pinsql's tables in Databricks, and runs a question there, after each run of pinsql_daily.

It needs a Databricks workspace. The connection `databricks_default` names its SQL warehouse, which must be allowed to read
the tables in S3 (an external location).
"""

from datetime import datetime, timedelta, timezone

from pinsql_operator import setting

from airflow.providers.databricks.operators.databricks_sql import DatabricksSqlOperator
from airflow.sdk import DAG, Asset, TaskGroup

TABLES = ["pin_data", "geo_data", "user_data"]

# The columns are in the log of the table, so they are not needed here.
REGISTER = """
CREATE TABLE IF NOT EXISTS {table}
USING DELTA
LOCATION '{{{{ setting("warehouse") }}}}/{{{{ setting("schema") }}}}/{table}'
"""

# The same query as sql/queries/top_category_by_country.sql.
QUESTION = """
SELECT *
FROM (
  SELECT country, category, count(*) AS category_count
  FROM pin_data
  JOIN geo_data USING (ind)
  GROUP BY country, category
)
QUALIFY rank() OVER (PARTITION BY country ORDER BY category_count DESC) = 1
ORDER BY country, category
"""

with DAG(
    dag_id="pinsql_databricks",
    description="pinsql's tables in Databricks",
    # Runs when all three tables are new.
    schedule=[Asset(table) for table in TABLES],
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    user_defined_macros={"setting": setting},
    tags=["pinsql", "databricks"],
) as dag:
    # The catalog and the schema in which the tables are registered.
    place = {"catalog": "{{ setting('databricks_catalog') }}", "schema": "{{ setting('databricks_schema') }}"}

    with TaskGroup("register") as register:
        for table in TABLES:
            DatabricksSqlOperator(
                task_id=table,
                sql=[REGISTER.format(table=table).strip(), f"REFRESH TABLE {table}"],
                do_xcom_push=False,
                **place,
            )

    ask = DatabricksSqlOperator(
        task_id="top_category_by_country",
        sql=QUESTION.strip(),
        output_path="{{ setting('databricks_results') }}/top_category_by_country.csv",
        output_format="csv",
        do_xcom_push=False,
        **place,
    )

    register >> ask
