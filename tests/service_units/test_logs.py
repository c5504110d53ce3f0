"""Logs: one JSON object a line, whoever writes it, and never a token."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.service_units.processes import python

_SETUP = """
import logging, sys, warnings
from quash_service.logs import configure, get_logger
configure(sys.argv[1])
"""


def logged(code: str, tmp_path: Path, level: str = "info") -> list[dict[str, Any]]:
    """Run `code` in a process of its own and return what it logged."""
    child = python(_SETUP + code, level, cwd=tmp_path)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (0, "")
    lines = [json.loads(line) for line in err.splitlines()]
    for line in lines:
        assert {"event", "level", "timestamp"} <= set(line)
        assert line["timestamp"].endswith("Z")
    return lines


def test_ours_are_json_with_their_fields(tmp_path: Path) -> None:
    [line] = logged("get_logger().warning('state_born', partitions=64, text='a\\nb\u2028ü')", tmp_path)
    assert (line["event"], line["level"], line["partitions"]) == ("state_born", "warning", 64)
    assert line["text"] == "a\nb\u2028ü"


def test_the_libraries_are_json_too_with_their_arguments_filled_in(tmp_path: Path) -> None:
    code = """
logging.getLogger('uvicorn.error').info('Started %s\\n%d', 'x', 7)
logging.getLogger('asyncio').error('lost')
"""
    lines = logged(code, tmp_path)
    assert [(line["event"], line["level"]) for line in lines] == [("Started x\n7", "info"), ("lost", "error")]


def test_warnings_are_json_too(tmp_path: Path) -> None:
    [line] = logged("warnings.simplefilter('always'); warnings.warn('old\\nfashioned')", tmp_path)
    assert (line["level"], "old\nfashioned" in line["event"]) == ("warning", True)


@pytest.mark.parametrize(
    "who", ["get_logger().error('e', exc_info=True)", "logging.getLogger('uvicorn').exception('e')"]
)
def test_a_traceback_is_inside_its_line(tmp_path: Path, who: str) -> None:
    [line] = logged(f"try:\n    1 / 0\nexcept ZeroDivisionError:\n    {who}", tmp_path)
    assert "ZeroDivisionError" in line["exception"]
    assert "\n" in line["exception"]


def test_what_json_has_no_word_for_is_still_a_line(tmp_path: Path) -> None:
    [line] = logged("get_logger().info('x', value=object(), raw=b'\\xff')", tmp_path)
    assert isinstance(line["value"], str)


def test_the_requests_id_is_in_every_line_of_a_request(tmp_path: Path) -> None:
    code = """
import structlog
structlog.contextvars.bind_contextvars(request_id='r1')
get_logger().info('a')
logging.getLogger('uvicorn').info('b')
"""
    assert [line["request_id"] for line in logged(code, tmp_path)] == ["r1", "r1"]


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_the_least_that_is_logged_ours_and_the_libraries(tmp_path: Path, level: str, seen: int) -> None:
    code = """
for name in ('debug', 'info', 'warning', 'error'):
    getattr(get_logger(), name)('ours')
    getattr(logging.getLogger('library'), name)('theirs')
"""
    assert [line["event"] for line in logged(code, tmp_path, level)] == ["ours", "theirs"] * seen


def test_configuring_twice_says_nothing_twice(tmp_path: Path) -> None:
    assert (
        len(logged("configure('info'); get_logger().info('once'); logging.getLogger('x').info('once')", tmp_path)) == 2
    )
