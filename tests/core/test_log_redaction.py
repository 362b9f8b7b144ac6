"""While a signed URL is in use, the HTTP libraries' own lines end before its query."""

from __future__ import annotations

import logging

import pytest

from tinkex._base.redaction import LOGGERS, without_queries

SIGNED = "https://store.example/a?X-Signature=secret&b=c#d"


@pytest.mark.parametrize("name", LOGGERS)
def test_a_line_loses_its_queries_as_long_as_that_is_requested(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """S6: two users at once may end in any order; afterwards the logger is as it was."""
    log = logging.getLogger(name)
    caplog.set_level(logging.DEBUG, name)
    first, second = without_queries(), without_queries()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    log.info('HTTP Request: %s %s "%d"', "GET", SIGNED, 200)
    log.debug("headers: %r", [(b"Location", SIGNED.encode())])
    second.__exit__(None, None, None)
    log.info("after: %s", SIGNED)
    assert caplog.messages == [
        'HTTP Request: GET https://store.example/a?[REDACTED]#d "200"',
        "headers: [(b'Location', b'https://store.example/a?[REDACTED]#d')]",
        f"after: {SIGNED}",
    ]
    assert not log.filters


def test_a_line_without_a_query_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Its arguments too, for those who format lines their own way."""
    caplog.set_level(logging.INFO, "httpx")
    with without_queries():
        logging.getLogger("httpx").info("%s done", "https://store.example/a")
    [record] = caplog.records
    assert (record.msg, record.args) == ("%s done", ("https://store.example/a",))
