"""What every test may use: the shared real captures, when they lie beside the project."""

import os
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the real captures (../shared) are not on this machine"
)

# A shared machine stalls now and then; a deadline per example would test the machine. What lands
# is tried with the same examples each time, what is worked on with new ones.
settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def log_of_its_own():
    """A test that set the log up must not leave its closed stream to the next."""
    yield
    structlog.reset_defaults()
