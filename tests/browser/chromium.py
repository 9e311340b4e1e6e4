"""The browser that looks at pages and mail: Debian's Chromium, which asks nobody anything."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCREENSHOTS = ROOT / "docs" / "screenshots"
LAUNCH = {
    "executable_path": shutil.which("chromium") or "/usr/bin/chromium",
    "args": [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ],
}
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not Path(LAUNCH["executable_path"]).exists(), reason="chromium is not installed"
    ),
]
