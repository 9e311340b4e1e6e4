"""What was probably meant by a line that is no TOML.

Owns the slips that people make, as far as the parser's message and the line show them. Must
not parse, and must not repeat a value: it may be a secret.
"""

from __future__ import annotations

import re

_KEY = r"^\s*[\w-]+\s*="
_SLIPS: tuple[tuple[str, str, str], ...] = (
    (r"Cannot declare", r"^\s*\[(source|rule)\]", "write [[source]] and [[rule]], each time"),
    (r"Cannot declare", "", "this table is there already; keep one"),
    (r"Cannot overwrite", r"^\s*\[\[", "an earlier one has single brackets: write two each time"),
    (r"Cannot (overwrite|mutate)", "", "this name is there already; keep one"),
    ("", r"[“”„‟‘’]", "take straight quotes"),
    ("", r"^\s*(;|//|--)", 'a comment begins with "#"'),
    ("", r"^\s*[{<]", "this is another format; `watcher init` writes a config to begin with"),
    ("", r"^\s*[\w-]+\s*:", 'write KEY = VALUE, with "=" instead of ":"'),
    ("", _KEY + r'\s*"[^"]*\\', "a backslash needs single quotes round the text"),
    ("", _KEY + r'\s*"[^"]*"[^\s#]', "double quotes within a text need single quotes round it"),
    ("", _KEY + r"\s*'[^']*'[^\s#]", "a single quote within a text needs double quotes round it"),
    ("", _KEY + r"""\s*("[^"]*|'[^']*)$""", "a quote is not closed"),
    ("", _KEY + r"\s*(?i:true|false|yes|no)\b", "write true or false, in small letters"),
    ("", _KEY + r"""\s*[^"'\[{\s]""", 'a text needs quotes, as in every = "30m"'),
    ("", _KEY + r"\s*\[\s*[A-Za-z_]", 'a text in a list needs quotes, as in ["a", "b"]'),
    (r"Unclosed array", "", 'a comma or "]" is missing'),
)


def hint(message: str, line: str) -> str:
    """What to write instead, or nothing; for what ``tomllib`` says of a line."""
    found = (
        words for said, seen, words in _SLIPS if re.search(said, message) and re.search(seen, line)
    )
    return next(found, "")
