"""Host and path of an address: quick ways that agree with the standard library's."""

from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.config import host_of, is_loopback_url, path_of

HOSTS = ["papers", "papers.example", "Papers.EXAMPLE.", "127.0.0.1", "[::1]", "localhost"]
PARTS = st.text("abz/?#=&.:@%-", max_size=12)


@given(
    st.sampled_from(["http", "https"]),
    st.sampled_from(HOSTS),
    st.sampled_from(["", ":80", ":443", ":8080"]),
    st.sampled_from(["", "/", "?", "#", "/papers", "/papers/", "/api/daily_papers?date=x"]),
    PARTS,
)
def test_they_agree_with_the_standard_library(scheme, host, port, start, rest):
    rest = rest if start else ""
    url = f"{scheme}://{host}{port}{start}{rest}"
    parts = urlsplit(url)
    assert path_of(url) == (parts.path.rstrip("/"), parts.query)
    odd = {"http": ":80", "https": ":443"}[scheme] != port and port
    name = host.lower().strip("[]").rstrip(".")
    assert host_of(url) == (f"{name}{port}" if odd else name)
    assert host_of(url) == host_of(urlunsplit(parts._replace(path="/other", query="")))


@pytest.mark.parametrize(
    ("url", "mine"),
    [
        ("http://localhost:8000/x", True),
        ("http://a.localhost", True),
        ("http://[::1]:80/?q=//else.example", True),
        ("http://127.3.2.1#f", True),
        ("https://else.example/http://localhost/", False),
        ("https://else.example?http://localhost/", False),
    ],
)
def test_loopback(url, mine):
    assert is_loopback_url(url) is mine
