"""The spellings in which services repeat what they were sent, and a search for all of them."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus

RUN = 20
"""Characters in a row of a spelling that already tell too much."""


def spellings(secret: str) -> Mapping[str, str]:
    """A text in each of them, by name."""
    as_json, percent = json.dumps(secret)[1:-1], quote(secret, safe="")
    found = {
        "plain": secret,
        "JSON": as_json,
        "JSON with letters": json.dumps(secret, ensure_ascii=False)[1:-1],
        "JSON with slashes": as_json.replace("/", "\\/"),
        "JSON in upper case": re.sub(r"\\u[0-9a-f]{4}", lambda code: "\\u" + code[0][2:].upper(), as_json),
        "JSON in JSON": json.dumps(as_json)[1:-1],
        "URL": percent,
        "URL in lower case": re.sub("%..", lambda code: code[0].lower(), percent),
        "URL path": quote(secret),
        "form": quote_plus(secret),
        "URL in a URL": quote(percent, safe=""),
        "Python": ascii(secret)[1:-1],
        "Python bytes": repr(secret.encode())[2:-1],
    }
    size = len(secret.encode())
    for offset in range(3):
        content = b"_" * offset + secret.encode() + b"_" * 3
        # Only what the secret alone decides: the characters at both ends may hold bits of what stands beside it.
        inside = slice((offset * 8 + 5) // 6, (offset + size) * 8 // 6)
        found[f"base64 at {offset}"] = b64encode(content).decode()[inside]
        found[f"base64url at {offset}"] = urlsafe_b64encode(content).decode()[inside]
    return found


def betrayed(text: str, secret: str) -> list[str]:
    """The spellings of which the text holds as many characters in a row as tell too much."""
    return [name for name, spelling in spellings(secret).items() if not _runs(text).isdisjoint(_runs(spelling))] + [
        name for name, spelling in spellings(secret).items() if len(spelling) < RUN and spelling in text
    ]


@lru_cache(maxsize=500)
def _runs(text: str) -> frozenset[str]:
    return frozenset(text[start : start + RUN] for start in range(len(text) - RUN + 1))
