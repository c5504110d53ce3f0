"""The wheel holds the two packages, whole, and nothing else."""

import configparser
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"quash": ROOT / "client" / "quash", "quash_service": ROOT / "service" / "quash_service"}

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
INFO = f"quash-{VERSION}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def sources() -> set[str]:
    return {
        f"{package}/{path.relative_to(folder)}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.suffix in {".py", ".lua"} or path.name == "py.typed"
    }


def test_the_wheel_holds_every_module_and_script_and_nothing_else(names: set[str]) -> None:
    packed = {name for name in names if not name.startswith(f"{INFO}/")}
    assert packed == sources()


@pytest.mark.parametrize("name", ["quash/py.typed", "quash_service/py.typed", "quash_service/lua/_prelude.lua"])
def test_what_no_import_would_miss_is_in_the_wheel(names: set[str], name: str) -> None:
    assert name in names


def test_the_wheel_carries_its_licence_and_one_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entry_points = configparser.ConfigParser()
        entry_points.read_string(archive.read(f"{INFO}/entry_points.txt").decode())
        licence = archive.read(f"{INFO}/licenses/LICENSE").decode()
    assert {section: dict(entry_points[section]) for section in entry_points.sections()} == {
        "console_scripts": {"quash": "quash_service.cli:main"}
    }
    assert "Apache License" in licence


def test_the_library_asks_for_two_packages_and_the_server_for_an_extra(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"{INFO}/METADATA").decode()
    wanted = [line.removeprefix("Requires-Dist: ") for line in metadata.splitlines() if line.startswith("Requires-D")]
    base = sorted(line for line in wanted if "extra ==" not in line)
    assert base == ["pyjwt[crypto]>=2.13", "redis>=8.0.1"]
    assert all("extra == 'service'" in line for line in wanted if line not in base)
    assert "Requires-Python: >=3.11" in metadata
