"""The command as such: version, usage, speed, and what it says when only the library is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import quash
from tests.servers import clean_environment


def python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=clean_environment()
    )


def test_the_version_is_the_distribution_s(data_dir: Path) -> None:
    done = quash("--version", data_dir=data_dir)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("quash 0.")


@pytest.mark.parametrize(
    "command", [[], ["serve"], ["caller"], ["caller", "add"], ["revoke"], ["sessions"], ["doctor"]]
)
def test_every_command_explains_itself_without_touching_anything(data_dir: Path, command: list[str]) -> None:
    done = quash(*command, "--help", data_dir=data_dir)
    assert done.returncode == 0
    assert "Usage: quash" in done.stdout
    assert not data_dir.exists()


@pytest.mark.parametrize("group", [[], ["caller"], ["key"]])
def test_a_list_of_commands_says_of_each_a_whole_sentence(data_dir: Path, group: list[str]) -> None:
    assert "..." not in quash(*group, "--help", data_dir=data_dir).stdout.partition("Commands:")[2]


@pytest.mark.parametrize("args", [["nonsense"], ["serve", "--nonsense"], ["sessions"], ["caller", "add"]])
def test_what_cannot_be_understood_is_usage(data_dir: Path, args: list[str]) -> None:
    assert quash(*args, data_dir=data_dir).returncode == 2


def test_the_command_line_starts_without_the_slow_imports() -> None:
    done = python(
        "import sys; sys.argv[1:] = ['--version']\n"
        "from quash_service.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'fastapi', 'uvicorn', 'redis', 'pydantic', 'jwt', 'quash'} & set(sys.modules)))"
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("missing", ["click", "fastapi", "pydantic_settings"])
def test_with_only_the_library_it_says_what_to_install(missing: str) -> None:
    done = python(f"import sys; sys.modules['{missing}'] = None\nfrom quash_service.cli import main\nmain()")
    assert done.returncode == 2
    assert "pip install 'quash[service]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named_and_no_secret_is_shown(data_dir: Path) -> None:
    env = {"QUASH_PORT": "many", "QUASH_ADMIN_SECRET": "too-short-to-be-good"}
    for args in (["serve"], ["doctor"], ["sessions", "alice"]):
        done = quash(*args, data_dir=data_dir, env=env)
        assert done.returncode == 2
        assert "QUASH_PORT" in done.stderr
        assert "QUASH_ADMIN_SECRET" in done.stderr
        assert "too-short-to-be-good" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert not data_dir.exists()
