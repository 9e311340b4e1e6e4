"""Writes what is made from the config's structs: config.schema.json, tables of docs/config.md.

Run it after changing a key; a test compares both with the code.
"""

import json
from pathlib import Path

from watcher.channels import OPTIONS
from watcher.config import fill_reference, json_schema

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Bring both files up to date."""
    schema = json.dumps(json_schema(OPTIONS), indent=2, ensure_ascii=False) + "\n"
    (ROOT / "config.schema.json").write_text(schema, encoding="utf-8")
    document = ROOT / "docs" / "config.md"
    text = document.read_text(encoding="utf-8")
    document.write_text(fill_reference(text, OPTIONS), encoding="utf-8")


if __name__ == "__main__":
    main()
