#!/usr/bin/env python3
"""What the pipeline should make of a raw folder, worked out a second time and from nothing but the rules.

    python3 tests/oracle/oracle.py RAW > expected.json

RAW is a folder with `topics/<topic>/partition=<n>/*.json` in it, one record a line. The answer is one JSON object: for
each table, each question, and the ledger, `{"columns": [...], "rows": [[...], ...]}`. Rows of tables and of the
ledger come sorted by their text; rows of questions come in the order in which the question's SQL gives them.

Python's standard library is all it uses: it shares no code, no library and no idea with the program under test, and
it prefers the plainest way to the fastest.
"""

import collections
import datetime
import decimal
import json
import pathlib
import re
import statistics
import sys

# --- Reading: a record that does not fit its declaration is not a row ------------------------------------------------

SCHEMAS = {
    "pin": {
        "index": "INT", "unique_id": "STRING", "title": "STRING", "description": "STRING", "poster_name": "STRING",
        "follower_count": "STRING", "tag_list": "STRING", "is_image_or_video": "STRING", "image_src": "STRING",
        "downloaded": "INT", "save_location": "STRING", "category": "STRING",
    },
    "geo": {
        "ind": "BIGINT", "timestamp": "TIMESTAMP", "latitude": "DOUBLE", "longitude": "DOUBLE", "country": "STRING",
    },
    "user": {
        "ind": "BIGINT", "first_name": "STRING", "last_name": "STRING", "age": "BIGINT", "date_joined": "TIMESTAMP",
    },
}

TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII
)


class Bad(Exception):
    """The record is no row of its topic."""


class Digits(str):
    """A JSON number, as it was written."""


def refuse_constant(name):
    raise Bad(f"{name} is not JSON")


def read_topic(raw, topic):
    """All rows of a topic, duplicates included, and how many records were bad."""
    rows, bad = [], 0
    for path in sorted(raw.glob(f"topics/*.{topic}/partition=*/*.json")):
        if path.name.startswith(("_", ".")):
            continue
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        for line in content.split(b"\n"):
            if line.strip(b" \t\r") == b"":
                continue
            try:
                rows.extend(read_record(line, SCHEMAS[topic]))
            except Bad:
                bad += 1
    return rows, bad


def read_record(line, schema):
    try:
        text = line.decode("utf-8")
        value = json.loads(text, parse_int=Digits, parse_float=Digits, parse_constant=refuse_constant)
        # A half of a surrogate pair passes Python's JSON, but is no text.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Bad(str(error)) from error
    records = value if isinstance(value, list) else [value]
    if not all(isinstance(record, dict) for record in records):
        raise Bad("not an object")
    return [tuple(coerce(record.get(name), type_) for name, type_ in schema.items()) for record in records]


def coerce(value, type_):
    if value is None:
        return None
    if type_ == "STRING":
        return to_string(value)
    if type_ in ("INT", "BIGINT"):
        bits = 32 if type_ == "INT" else 64
        return to_integer(value, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if type_ == "DOUBLE":
        return to_double(value)
    return to_timestamp(value)


def to_string(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str(value)
    sys.exit("an object or a list stands where text is declared: the oracle has no rule for its spelling")


def to_integer(value, least, most):
    if not isinstance(value, Digits) or not re.fullmatch(r"-?\d+", value):
        raise Bad(f"{value!r} is not an integer")
    number = decimal.Decimal(value)
    if not least <= number <= most:
        raise Bad(f"{value} is out of range")
    return int(number)


def to_double(value):
    if isinstance(value, Digits) or value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    raise Bad(f"{value!r} is not a number")


def to_timestamp(value):
    """UTC, to the microsecond; a time without a zone is UTC."""
    match = None if isinstance(value, (Digits, bool)) or not isinstance(value, str) else TIME.fullmatch(value)
    if match is None:
        raise Bad(f"{value!r} is not a timestamp")
    *parts, fraction, zone = match.groups()
    microseconds = int((fraction or "0").ljust(6, "0")[:6])
    try:
        time = datetime.datetime(*map(int, parts), microseconds)
        if zone not in (None, "Z"):
            offset = datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
            time = time - offset if zone[0] == "+" else time + offset
    except (ValueError, OverflowError) as error:
        raise Bad(str(error)) from error
    return time


# --- Cleaning --------------------------------------------------------------------------------------------------------

UNITS = {"": 0, "k": 3, "m": 6, "b": 9}


def parse_count(text):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kmbKMB]?)", (text or "").strip())
    if match is None:
        return None
    with decimal.localcontext(prec=100):
        count = decimal.Decimal(match[1]).scaleb(UNITS[match[2].lower()])
        return int(count) if count == count.to_integral_value() and count <= 2**31 - 1 else None


def null_if(value, placeholder):
    return None if value == placeholder else value


def clean_pin(row):
    pin = dict(zip(SCHEMAS["pin"], row))
    save_location = pin["save_location"]
    return {
        "ind": pin["index"],
        "unique_id": pin["unique_id"],
        "title": null_if(pin["title"], "No Title Data Available"),
        "description": null_if(pin["description"], "No description available Story format"),
        "follower_count": parse_count(null_if(pin["follower_count"], "User Info Error")),
        "poster_name": null_if(pin["poster_name"], "User Info Error"),
        "tag_list": null_if(pin["tag_list"], "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"),
        "is_image_or_video": pin["is_image_or_video"],
        "image_src": null_if(pin["image_src"], "Image src error."),
        "save_location": save_location and save_location.removeprefix("Local save in "),
        "category": pin["category"],
    }


def clean_geo(row):
    geo = dict(zip(SCHEMAS["geo"], row))
    return {
        "ind": geo["ind"],
        "country": geo["country"],
        "coordinates": [geo["latitude"], geo["longitude"]],
        "timestamp": geo["timestamp"],
    }


def clean_user(row):
    user = dict(zip(SCHEMAS["user"], row))
    first_name, last_name = user["first_name"], user["last_name"]
    return {
        "ind": user["ind"],
        "user_name": None if first_name is None or last_name is None else first_name + last_name,
        "age": user["age"],
        "date_joined": user["date_joined"],
    }


# --- Questions -------------------------------------------------------------------------------------------------------


def join(left, right):
    by_ind = collections.defaultdict(list)
    for row in right:
        by_ind[row["ind"]].append(row)
    return [one | other for one in left if one["ind"] is not None for other in by_ind[one["ind"]]]


def year(time):
    return None if time is None else time.year


def age_group(age):
    for least, most in ((18, 24), (25, 35), (36, 50)):
        if age is not None and least <= age <= most:
            return f"{least}-{most}"
    return "50+"


def ordered(rows):
    """By all columns from the left, a missing value before every other."""
    return sorted(rows, key=lambda row: [(value is not None, 0 if value is None else value) for value in row])


def top_category(rows, group):
    """For each group, the category with the most rows: all of them when several have as many."""
    counts = collections.Counter((group(row), row["category"]) for row in rows)
    most = collections.defaultdict(int)
    for (of_group, _), count in counts.items():
        most[of_group] = max(most[of_group], count)
    return ordered((*key, count) for key, count in counts.items() if count == most[key[0]])


def top_poster(rows):
    """For each country, whoever shows the most followers there: all of them when several show as many."""
    best = {}
    known = [row for row in rows if row["follower_count"] is not None]
    for row in known:
        best[row["country"]] = max(best.get(row["country"], 0), row["follower_count"])
    winners = {
        (row["country"], row["poster_name"], row["follower_count"])
        for row in known
        if row["follower_count"] == best[row["country"]]
    }
    return ordered(winners)


def country_of_top_poster(rows):
    known = [(row["country"], row["follower_count"]) for row in rows if row["follower_count"] is not None]
    if not known:
        return []
    most = max(count for _, count in known)
    return ordered({row for row in known if row[1] == most})[:1]


def median_followers(rows, group):
    counts = collections.defaultdict(list)
    for row in rows:
        counts[group(row)].append(row["follower_count"])
    medians = []
    for of_group, of_rows in counts.items():
        known = [count for count in of_rows if count is not None]
        medians.append((*of_group, float(statistics.median(known)) if known else None))
    return ordered(medians)


def answers(pin, geo, user):
    posts_geo, posts_user = join(pin, geo), join(pin, user)
    joined_years = collections.Counter(year(row["date_joined"]) for row in user)

    def join_year(row):
        return year(row["date_joined"])

    def group(row):
        return age_group(row["age"])

    yield "top_category_by_country", ["country", "category", "category_count"], top_category(
        posts_geo, lambda row: row["country"]
    )
    yield "top_category_by_year", ["year", "category", "category_count"], top_category(
        posts_geo, lambda row: year(row["timestamp"])
    )
    yield "top_poster_by_country", ["country", "poster_name", "follower_count"], top_poster(posts_geo)
    yield "country_of_top_poster", ["country", "follower_count"], country_of_top_poster(posts_geo)
    yield "top_category_by_age_group", ["age_group", "category", "category_count"], top_category(posts_user, group)
    yield "median_followers_by_age_group", ["age_group", "median_follower_count"], median_followers(
        posts_user, lambda row: (group(row),)
    )
    yield "users_joined_by_year", ["join_year", "number_users_joined"], ordered(joined_years.items())
    yield "median_followers_by_join_year", ["join_year", "median_follower_count"], median_followers(
        posts_user, lambda row: (join_year(row),)
    )
    yield "median_followers_by_join_year_and_age_group", [
        "join_year", "age_group", "median_follower_count",
    ], median_followers(posts_user, lambda row: (join_year(row), group(row)))


# --- The whole -------------------------------------------------------------------------------------------------------


def as_json(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat() + "Z"
    raise TypeError(type(value))


def sorted_by_text(rows):
    return sorted(rows, key=lambda row: json.dumps(row, default=as_json))


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: oracle.py RAW")
    raw = pathlib.Path(sys.argv[1])
    expected, tables, ledger = {}, {}, []
    for topic, clean in (("pin", clean_pin), ("geo", clean_geo), ("user", clean_user)):
        rows, bad = read_topic(raw, topic)
        # The whole raw row decides what a duplicate is, before anything is cleaned.
        distinct = dict.fromkeys(rows)
        table = [clean(row) for row in distinct]
        tables[topic] = table
        columns = list(clean((None,) * len(SCHEMAS[topic])))
        expected[f"{topic}_data"] = {
            "columns": columns,
            "rows": sorted_by_text([list(row.values()) for row in table]),
        }
        ledger.append([f"{topic}_data", len(rows) + bad, len(table), 0, len(rows) - len(table), bad])
    for question, columns, rows in answers(**tables):
        expected[question] = {"columns": columns, "rows": rows}
    expected["ledger"] = {
        "columns": ["table", "read", "written", "filtered", "duplicates", "rejected"],
        "rows": sorted_by_text(ledger),
    }
    json.dump(expected, sys.stdout, default=as_json, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
