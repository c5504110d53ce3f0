"""Where a setting comes from: flag, environment, file, default; and names that are no setting."""

from pathlib import Path
from typing import Any

import pytest

from quash_service.engine import Durability
from quash_service.settings import Settings, load_settings
from tests.service_units.refusals import OTHER, refused, write

SECRET = "hunter2-hunter2"


def test_the_defaults_are_those_of_the_design() -> None:
    wanted: dict[str, Any] = {
        "redis_url": None,
        "data_dir": Path("quash-data"),
        "config": Path("quash.toml"),
        "host": "127.0.0.1",
        "port": 8400,
        "workers": 1,
        "tls_cert": None,
        "tls_key": None,
        "log_level": "info",
        "admin_secret": None,
        "issuer": "http://127.0.0.1:8400",
        "audience": None,
        "mint": True,
        "algorithm": "ES256",
        "keys_dir": None,
        "key_rotate_days": 90,
        "access_ttl_s": 600,
        "idle_ttl_s": 30 * 86400,
        "absolute_ttl_s": 90 * 86400,
        "grace_s": 30,
        "max_sessions": 50,
        "opens_per_minute": 60,
        "max_access_ttl_s": 3600,
        "leeway_s": 0,
        "durability": Durability.FSYNC,
        "trust_tokens_since": None,
        "audit_days": 30,
        "issuers": (),
    }
    assert dict(load_settings()) == wanted
    assert load_settings().keys_folder == Path("quash-data/keys")


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().port == 8400
    write("port = 1001\ngrace_s = 11\nmax_sessions = 7")
    assert load_settings().port == 1001
    monkeypatch.setenv("QUASH_PORT", "1002")
    monkeypatch.setenv("QUASH_GRACE_S", "12")
    assert load_settings().port == 1002
    settings = load_settings(port=1003)
    assert (settings.port, settings.grace_s, settings.max_sessions) == (1003, 12, 7)


def test_a_flag_that_was_not_given_and_an_empty_variable_count_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    write("port = 1001")
    monkeypatch.setenv("QUASH_PORT", "")
    assert load_settings(port=None).port == 1001


@pytest.mark.parametrize("by_flag", [True, False])
def test_the_file_is_the_one_that_flag_or_environment_names(monkeypatch: pytest.MonkeyPatch, *, by_flag: bool) -> None:
    write("port = 1001")
    write("port = 1005", "etc/other.toml")
    monkeypatch.setenv("QUASH_CONFIG", "quash.toml" if by_flag else "etc/other.toml")
    assert load_settings(config="etc/other.toml" if by_flag else None).port == 1005


def test_a_file_that_was_named_must_exist() -> None:
    assert refused(config="etc/nowhere.toml") == "etc/nowhere.toml: there is no such file"


def test_a_file_that_is_a_directory_is_refused_by_its_name() -> None:
    Path("quash.toml").mkdir()
    assert refused().startswith("quash.toml: ")


def test_paths_in_the_file_are_relative_to_it_and_those_in_the_environment_to_the_working_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = 'data_dir = "d"\nkeys_dir = "/abs"\ntls_cert = "c.pem"\ntls_key = "../k.pem"\n'
    write(paths + OTHER, "etc/quash.toml")
    settings = load_settings(config="etc/quash.toml")
    assert (settings.data_dir, settings.keys_dir) == (Path("etc/d"), Path("/abs"))
    assert (settings.tls_cert, settings.tls_key) == (Path("etc/c.pem"), Path("etc/../k.pem"))
    assert settings.issuers[0].keys == Path("etc/keys.json")
    monkeypatch.setenv("QUASH_DATA_DIR", "elsewhere")
    assert load_settings(config="etc/quash.toml").data_dir == Path("elsewhere")


def test_every_setting_that_is_a_path_is_relative_to_the_file() -> None:
    paths = [name for name, field in Settings.model_fields.items() if "Path" in str(field.annotation)]
    write("".join(f'{name} = "x"\n' for name in paths if name != "config"), "etc/quash.toml")
    settings = load_settings(config="etc/quash.toml")
    assert {name: getattr(settings, name) for name in paths if name != "config"} == {
        name: Path("etc/x") for name in paths if name != "config"
    }


@pytest.mark.parametrize(
    ("name", "meant"),
    [("GRACE", "QUASH_GRACE_S"), ("DATADIR", "QUASH_DATA_DIR"), ("REDIS_URI", "QUASH_REDIS_URL"), ("ZZZ", None)],
)
def test_a_variable_that_is_no_setting_is_refused_and_told_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str | None
) -> None:
    monkeypatch.setenv(f"QUASH_{name}", SECRET)
    hint = f"; did you mean {meant}?" if meant else ""
    assert refused() == f"QUASH_{name}: there is no such setting{hint}"


@pytest.mark.parametrize(
    "name",
    ["TEST_ENGINES", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_8400_TCP", "PORT_8400_TCP_ADDR"],
)
def test_variables_of_the_tests_and_of_kubernetes_are_passed_over(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"QUASH_{name}", "x")
    load_settings()


def test_the_port_that_kubernetes_sets_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUASH_PORT", "tcp://10.0.0.1:8400")
    assert "enableServiceLinks" in refused()


def test_issuers_in_the_environment_are_sent_to_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUASH_ISSUERS", "[oops")
    assert "[[issuers]]" in refused()
