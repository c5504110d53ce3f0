"""The files people deploy with say what the documentation promises. No Docker engine is needed to read them."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("build", "service", "test", "tools")


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"][name]
    return found


def valkey_options() -> dict[str, str]:
    server, *words = service("valkey")["command"]
    assert server == "valkey-server"
    return dict(zip(words[::2], words[1::2], strict=True))


def instructions() -> list[list[str]]:
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return [line.split(maxsplit=1) for line in joined.splitlines() if line and not line.startswith("#")]


def stated(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def requirement_names(lines: list[str]) -> set[str]:
    names = (re.match(r"[a-z0-9-]+(\[[a-z]+\])?>=[0-9.]+", line.replace(" ", "")) for line in lines)
    return {match.group() for match in names if match}


def test_the_engine_never_evicts_a_revocation() -> None:
    assert valkey_options()["--maxmemory-policy"] == "noeviction"


def test_the_engine_writes_every_change_to_disk_before_it_answers() -> None:
    assert valkey_options()["--appendonly"] == "yes"
    assert valkey_options()["--appendfsync"] == "always"


def test_the_service_reaches_the_engine_by_its_own_network() -> None:
    assert service("quash")["environment"]["QUASH_REDIS_URL"] == "redis://valkey:6379/0"
    assert service("valkey")["networks"] == ["state"]
    assert COMPOSE["networks"]["state"] == {"internal": True}
    assert "ports" not in service("valkey")


def test_the_service_waits_for_a_healthy_engine() -> None:
    assert service("quash")["depends_on"] == {"valkey": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_service_has_a_health_check_and_keeps_its_data(name: str) -> None:
    assert service(name)["healthcheck"]["test"][0] == "CMD"
    (volume,) = service(name)["volumes"]
    assert volume.partition(":")[0] in COMPOSE["volumes"]
    assert volume.partition(":")[2] == "/data"


def test_every_image_has_a_version() -> None:
    images = [entry["image"] for entry in COMPOSE["services"].values()]
    images += re.findall(r"PYTHON_IMAGE=(\S+)", DOCKERFILE)
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+\S*", image)
    assert service("quash")["image"].endswith(":" + PROJECT["project"]["version"])


def test_the_service_runs_as_the_same_user_in_both_files_and_not_as_root() -> None:
    (user,) = stated("USER")
    assert user == service("quash")["user"]
    assert not user.startswith("0")
    assert f"--uid {user.partition(':')[0]} " in DOCKERFILE
    assert service("quash")["read_only"] is True
    assert service("quash")["cap_drop"] == ["ALL"]


def test_nobody_off_the_machine_reaches_the_published_port_unasked() -> None:
    assert service("quash")["ports"] == ["127.0.0.1:8400:8400"]


def test_the_image_installs_only_pinned_packages() -> None:
    locks = [run for run in stated("RUN") if "--requirement" in run]
    assert [re.findall(r"(\w+)\.txt", run) for run in locks] == [["build"], ["service"]]
    assert all("--require-hashes" in run for run in locks)
    others = [run for run in stated("RUN") if "pip" in run and run not in locks]
    assert len(others) == 2
    assert all("--no-index" in run and "--no-deps" in run for run in others)


def test_what_the_image_copies_is_there_and_passes_the_ignore_file() -> None:
    allowed = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"]
    for copy in stated("COPY"):
        *sources, _target = shlex.split(copy)
        if sources[0].startswith("--from="):
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.partition("/")[0] in allowed


def test_the_image_listens_for_others_and_keeps_its_data_in_a_volume() -> None:
    environment = dict(pair.split("=", 1) for line in stated("ENV") for pair in line.split())
    assert environment["QUASH_HOST"] == "0.0.0.0"  # noqa: S104 - in a container that is the outside
    assert environment["QUASH_DATA_DIR"] == "/data"
    assert stated("VOLUME") == ['["/data"]']
    assert stated("CMD") == ['["quash", "serve"]']


def test_the_image_and_the_compose_file_ask_for_liveness() -> None:
    (check,) = stated("HEALTHCHECK")
    assert "/healthz" in check
    assert "/healthz" in service("quash")["healthcheck"]["test"][-1]


def test_the_locked_service_is_what_the_extra_asks_for() -> None:
    asked = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["service"]
    listed = (ROOT / "requirements" / "service.in").read_text().splitlines()
    assert requirement_names(listed) - {"async-timeout>=4.0.3"} == requirement_names(asked)
    assert len(requirement_names(asked)) == len(asked)


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_version_and_a_hash_and_names_no_host(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    packages = re.split(r"\n(?=[a-z])", text.replace("\\\n", " ").strip())
    for package in packages:
        assert re.match(r"[a-z0-9-]+==\S+( ; [^-]+)? +--hash=sha256:", package), package[:80]
    assert "://" not in text
    assert not re.search(r"^ *-(?!-hash)", text, re.MULTILINE)


def test_the_tests_run_on_the_versions_that_are_served() -> None:
    served = set(re.findall(r"^[a-z0-9-]+==\S+", (ROOT / "requirements" / "service.txt").read_text(), re.MULTILINE))
    tested = set(re.findall(r"^[a-z0-9-]+==\S+", (ROOT / "requirements" / "test.txt").read_text(), re.MULTILINE))
    assert served <= tested
