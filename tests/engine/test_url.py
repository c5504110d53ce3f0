"""Engine URLs are read strictly, and no part of one that may be a password is ever shown."""

import traceback

import pytest

from quash_service.engine.connect import connect, connect_blocking
from quash_service.engine.errors import EngineRefused
from quash_service.engine.url import parse_url, safe_url

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h", "redis://h:6379/0"),
        ("redis://h:7000/2", "redis://h:7000/2"),
        (f"redis://:{SECRET}@h/2", "redis://***@h:6379/2"),
        (f"rediss://user:{SECRET}@h:7000", "rediss://***@h:7000/0"),
        (f"redis://{SECRET}@h", "redis://***@h:6379/0"),
        (f"redis://h?password={SECRET}&db=3", "redis://***@h:6379/3"),
        ("redis://[::1]:7000", "redis://[::1]:7000/0"),
        ("unix:///run/a b.sock", "unix:///run/a%20b.sock"),
        (f"unix://:{SECRET}@/run/e.sock?db=1", "unix://***@/run/e.sock?db=1"),
        (f"unix:///run/e.sock?password={SECRET}", "unix://***@/run/e.sock"),
    ],
)
def test_the_safe_form_names_the_place_and_hides_the_credentials(url: str, shown: str) -> None:
    assert safe_url(url) == shown


UNREADABLE = [
    f"redis://:{SECRET}/x@h:1/0",
    f"redis://:{SECRET}[@h",
    f"redis://:{SECRET}#@h",
    f"redis://:12/{SECRET}@h",
    f"redis://:{SECRET}?@h",
    f"redis://h:1/{SECRET}",
    f"redis://h#{SECRET}@h",
    f"redis://h:{SECRET}",
    f"redis://h?{SECRET}=1",
    f"redis://:{SECRET}@",
    f"unix://{SECRET}/run/e.sock",
    f"unix://:{SECRET}@run/e.sock",
    "unix://",
    f"http://:{SECRET}@h",
    f"{SECRET}@h:6379",
    f"{SECRET}://h",
    "",
]


@pytest.mark.parametrize("url", UNREADABLE)
def test_what_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(EngineRefused, match=r"redis://.*rediss://.*unix:///path") as refused:
        parse_url(url)
    assert refused.value.code == "engine_url"
    assert SECRET not in "".join(traceback.format_exception(refused.value, chain=True)).replace(repr(url), "")
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    assert SECRET not in safe_url(url)


@pytest.mark.parametrize("scheme", ["redis+sentinel", "redis+cluster"])
def test_sentinel_and_cluster_are_named_as_not_supported_yet(scheme: str) -> None:
    url = f"{scheme}://:{SECRET}@h1,h2/name"
    for use in (parse_url, connect, connect_blocking):
        with pytest.raises(EngineRefused, match=f"^{scheme.replace('+', '.')}:// is not supported") as refused:
            use(url)
        assert refused.value.code == "engine_url_unsupported"
        assert SECRET not in str(refused.value)
    assert safe_url(url) == f"{scheme}://***"


def test_escaped_characters_of_credentials_and_paths_are_decoded() -> None:
    found = parse_url("redis://us%40er:p%2Fs%25s@h")
    assert (found.username, found.password) == ("us@er", "p/s%s")
    assert parse_url("unix:///a%20b%3Fc").place == "/a b?c"
    assert parse_url("redis://h?username=u&password=p%26q") == parse_url("redis://u:p%26q@h")


def test_tls_files_are_taken_only_where_there_is_tls() -> None:
    assert parse_url("rediss://h?ssl_ca_certs=/ca.pem").options == (("ssl_ca_certs", "/ca.pem"),)
    with pytest.raises(EngineRefused, match="only db, password, username may stand"):
        parse_url("redis://h?ssl_ca_certs=/ca.pem")


@pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "ssl_check_hostname=no", "socket_timeout=60"])
def test_a_url_can_switch_off_no_protection(option: str) -> None:
    with pytest.raises(EngineRefused, match=r"after the \? only"):
        parse_url(f"rediss://h?{option}")


@pytest.mark.parametrize("url", [f"redis://user:{SECRET}@h", f"unix://:{SECRET}@/run/e.sock"])
def test_no_repr_shows_the_password(url: str) -> None:
    for thing in (parse_url(url), connect(url), connect_blocking(url)):
        assert SECRET not in repr(thing)
