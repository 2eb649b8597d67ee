"""The one form of values in which the tests compare what different readers find.

Times are texts in UTC, decimals texts, bytes hexadecimal digits, structs and maps objects; NaN and the infinities, for
which JSON has no number, are texts.

The digest of a table is that of its rows in this form, sorted: it is the same for whoever reads the same rows.
"""

import datetime
import decimal
import hashlib
import json
import math


def plain(value):
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc)
        text = value.strftime("%H:%M:%S.%f").removesuffix(".000000")
        return f"{value.date().isoformat()} {text}"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        # Never with an exponent, whatever the scale.
        return f"{value:f}"
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if hasattr(value, "asDict"):
        value = value.asDict()
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def digest(rows):
    lines = sorted(json.dumps(plain(row), sort_keys=True, ensure_ascii=False) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
