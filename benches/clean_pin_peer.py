#!/usr/bin/env python3
"""The peer of sql/clean_pin.sql: the same cleaning with datafusion and deltalake for Python, as usual in Python.

    python clean_pin_peer.py RAW TABLE

The rows stream from the query into the table. There is one difference: it fails on a record that cannot be read.
"""

import sys

import pyarrow
from datafusion import SessionContext
from deltalake import write_deltalake

SCHEMA = pyarrow.schema(
    [
        ("index", pyarrow.int32()),
        ("unique_id", pyarrow.string()),
        ("title", pyarrow.string()),
        ("description", pyarrow.string()),
        ("poster_name", pyarrow.string()),
        ("follower_count", pyarrow.string()),
        ("tag_list", pyarrow.string()),
        ("is_image_or_video", pyarrow.string()),
        ("image_src", pyarrow.string()),
        ("downloaded", pyarrow.int32()),
        ("save_location", pyarrow.string()),
        ("category", pyarrow.string()),
    ]
)

CLEANING = """
SELECT
  index AS ind,
  unique_id,
  nullif(title, 'No Title Data Available') AS title,
  nullif(description, 'No description available Story format') AS description,
  CASE WHEN regexp_like(follower_count, '^[0-9]+([.][0-9]+)?[kMB]?$') THEN CAST(
    CAST(rtrim(follower_count, 'kMB') AS DECIMAL(20, 9))
    * CASE right(follower_count, 1) WHEN 'k' THEN 1000 WHEN 'M' THEN 1000000 WHEN 'B' THEN 1000000000 ELSE 1 END
  AS INT) END AS follower_count,
  nullif(poster_name, 'User Info Error') AS poster_name,
  nullif(tag_list, 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') AS tag_list,
  is_image_or_video,
  nullif(image_src, 'Image src error.') AS image_src,
  regexp_replace(save_location, '^Local save in ', '') AS save_location,
  category
FROM (SELECT DISTINCT * FROM raw)
"""


def main():
    raw, table = sys.argv[1:]
    context = SessionContext()
    context.register_json("raw", f"{raw}/topics/example.pin/", schema=SCHEMA, file_extension=".json")
    write_deltalake(table, context.sql(CLEANING), mode="overwrite")


if __name__ == "__main__":
    main()
