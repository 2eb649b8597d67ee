"""The common form of values in which the tests compare the results of different readers.
Times are texts in UTC, decimals are texts, bytes are hexadecimal digits, structs and maps are objects. NaN and the
infinities are texts, because JSON has no numbers for them.
The digest of a table is the digest of its sorted rows in this form. It is the same for every reader that reads the same
rows.
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
        # Never with an exponent, for any scale.
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
