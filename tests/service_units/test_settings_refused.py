"""Settings that are refused: with the place that is wrong, what it must be, and no secret."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from quash_service.settings import Settings, load_settings
from tests.service_units.refusals import OTHER, REMOTE, refused, write

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = 'many'", "quash.toml: port: must be a whole number"),
        ("port = true", "quash.toml: port: must be a whole number"),
        ("grace = 3", "quash.toml: grace: there is no such setting; did you mean grace_s?"),
        ("config = 'x'", "quash.toml: config: a file cannot name another one"),
        ("data_dir = 3", "quash.toml: data_dir: must be a path"),
        ("issuers = 3", "quash.toml: issuers: Input should be a valid tuple"),
        ("[[issuers]]\nissuer = 'a'", "quash.toml: issuers number 1: needs either jwks_uri or keys"),
        (OTHER + "jwks_uri = 'https://b.example'", "quash.toml: issuers number 1: needs either jwks_uri or keys"),
        (REMOTE + "'http://b.example/jwks'", "issuers number 1: jwks_uri cannot be used: it must be https"),
        (REMOTE + "'https://u:pw@b.example/jwks'", "issuers number 1: jwks_uri cannot be used: it must not hold"),
        (REMOTE + "'ftp://b.example/jwks'", "issuers number 1: jwks_uri cannot be used: it must be an https URL"),
        (REMOTE + "'https://b.example:x/'", "issuers number 1: jwks_uri cannot be used: it is no URL"),
        (REMOTE + "'https://b.example/'\nalgorithms=['HS256']", "issuers number 1: HMAC secrets are never published"),
        (OTHER + "jti = true", "quash.toml: issuers number 1 jti: there is no such setting; did you mean has_jti?"),
        (OTHER + "audience = ['']", "issuers number 1 audience number 1: must be 1-255 characters"),
        (OTHER + "algorithms = []", "issuers number 1 algorithms: must be some of"),
        (OTHER + "algorithms = ['none']", "issuers number 1 algorithms: must be some of"),
        (OTHER + "embeds = ['jti']", "issuers number 1 embeds number 1: Input should be 'sid' or 'ver'"),
        (OTHER + "skew_s = 1.5", "issuers number 1 skew_s: "),
        ("grace_s 3", "quash.toml is not TOML: "),
    ],
)
def test_what_is_wrong_in_the_file_is_refused_with_its_place(text: str, message: str) -> None:
    write(text)
    assert message in refused()


def test_bytes_that_are_no_text_are_refused_by_the_files_name() -> None:
    Path("quash.toml").write_bytes(b"\xff\xfe\x00")
    assert refused().startswith("quash.toml is not TOML: ")


def test_a_wrong_value_is_blamed_on_the_place_that_won(monkeypatch: pytest.MonkeyPatch) -> None:
    write("port = 'x'")
    monkeypatch.setenv("QUASH_PORT", "y")
    assert refused() == "QUASH_PORT: must be a whole number"


@pytest.mark.parametrize("text", ["1.0", "1_0", "1e2", "0x10", "ten", "PT30S", "00:00:30", "true"])
def test_numbers_are_whole_and_written_in_digits(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("QUASH_GRACE_S", text)
    assert refused() == "QUASH_GRACE_S: must be a whole number"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("port", (0, 65535), (-1, 65536)),
        ("workers", (1, 256), (0, 257)),
        ("grace_s", (0, 300), (-1, 301)),
        ("leeway_s", (0, 60), (-1, 61)),
        ("max_sessions", (1, 400), (0, 401)),
        ("max_access_ttl_s", (600, 86400), (0, 86401)),
        ("access_ttl_s", (1, 3600), (0, 3601)),
        ("idle_ttl_s", (1, 315_360_000), (0, 315_360_001)),
        ("absolute_ttl_s", (1, 315_360_000), (0, 315_360_001)),
        ("audit_days", (1, 3650), (0, 3651)),
        ("trust_tokens_since", (0, 9_999_999_999), (-1, 1_700_000_000_000)),
    ],
)
def test_numbers_have_bounds(name: str, good: tuple[int, ...], bad: tuple[int, ...]) -> None:
    for value in good:
        assert getattr(load_settings(**{name: value}), name) == value
    for value in bad:
        assert name.upper() in refused(**{name: value})


@pytest.mark.parametrize("text", ["on", "true", "1", "yes"])
def test_minting_is_switched_in_the_usual_words(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("QUASH_MINT", text)
    assert load_settings().mint


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"access_ttl_s": 3601}, "QUASH_ACCESS_TTL_S must not exceed QUASH_MAX_ACCESS_TTL_S"),
        ({"tls_cert": "c.pem"}, "QUASH_TLS_CERT and QUASH_TLS_KEY belong together"),
        ({"tls_key": "k.pem"}, "QUASH_TLS_CERT and QUASH_TLS_KEY belong together"),
        ({"mint": False}, "with QUASH_MINT off, quash.toml must list the issuers"),
        ({"durability": "replicas:2"}, "must be fsync or memory"),
        ({"durability": "both"}, "must be fsync or memory"),
        ({"algorithm": "none"}, "QUASH_ALGORITHM: "),
        ({"log_level": "loud"}, "QUASH_LOG_LEVEL: "),
        ({"issuer": ""}, "QUASH_ISSUER: "),
        ({"issuer": "https://a b"}, "QUASH_ISSUER: "),
        ({"issuer": "https://a\x00"}, "QUASH_ISSUER: "),
        ({"audience": ""}, "QUASH_AUDIENCE: "),
        ({"audience": "a  b"}, "QUASH_AUDIENCE: "),
        ({"audience": "a\tb"}, "QUASH_AUDIENCE: "),
        ({"nonsense": 1}, "QUASH_NONSENSE: there is no such setting"),
    ],
)
def test_what_does_not_go_together_is_refused(flags: dict[str, object], message: str) -> None:
    assert message in refused(**flags)


def test_an_issuer_is_configured_once_our_own_included() -> None:
    write(OTHER + OTHER)
    assert "may be configured once" in refused()
    write(OTHER)
    assert "may be configured once" in refused(issuer="https://auth.example")
    assert load_settings(issuer="https://auth.example", mint=False).mint is False


def test_the_longest_life_is_over_all_issuers() -> None:
    write(OTHER + "max_access_ttl_s = 7200")
    assert load_settings().longest_access_ttl_s == 7200
    assert load_settings(max_access_ttl_s=9000).longest_access_ttl_s == 9000


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1


def test_no_refusal_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUASH_ADMIN_SECRET", SECRET)
    monkeypatch.setenv("QUASH_REDIS_URL", f"redis://:{SECRET}@engine:6379/0")
    monkeypatch.setenv("QUASH_PORT", SECRET)
    message = refused()
    assert message.count("\n") == 1
    assert "hunter2" not in message
    assert "QUASH_ADMIN_SECRET: must have at least 32 characters" in message


@pytest.mark.parametrize("line", ['admin_secret = "{}"', 'admin_secret = ["{}"]', "admin_secret = {}", '"{}" = ['])
def test_no_refusal_shows_a_secret_of_the_file(line: str) -> None:
    write(line.format(SECRET))
    assert "hunter2" not in refused()


def test_the_repr_of_settings_shows_no_secret() -> None:
    settings = load_settings(admin_secret=SECRET * 3, redis_url=f"redis://:{SECRET}@engine:6379/0")
    assert "hunter2" not in f"{settings!r} {settings}"


def test_even_the_error_that_is_never_shown_holds_no_secret() -> None:
    wrong: dict[str, Any] = {"admin_secret": SECRET, "port": SECRET}
    with pytest.raises(ValidationError) as error:
        Settings(**wrong)
    assert "hunter2" not in str(error.value)
