"""The run's own watch over secrets: what is planted is found, where it is, and is not repeated."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests import seams
from tests.secrecy import WINDOW, Ledger

ROOT = Path(__file__).resolve().parents[2]
SECRET = "planted-0123456789-abcdefghij-KLMNOPQRST"
ACCESS = (
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2F1dGguZXhhbXBsZSIsInN1YiI6ImFsaWNlIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
)
REFRESH = f"qrt_{'s' * 38}.3.a{'KmacOfTheToken-0123456789_abcdefghijklmnopq'}"


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.test = "test_of_something"
    return ledger


FORMS = {
    "whole": SECRET,
    "in JSON": f'{{"detail": "{SECRET}"}}',
    "in a URL": f"https://quash.example/?a={SECRET}&b=1",
    "its beginning": f"{SECRET[:WINDOW]}…",
    "its end": f"…{SECRET[-WINDOW:]}",
    "inside a longer word": f"xx{SECRET}yy",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_seen_in_every_form(ledger: Ledger, form: str) -> None:
    ledger.secret(SECRET)
    ledger.output("the log", FORMS[form])
    assert ledger.leaks() == ["test_of_something: a secret in the log"]


def test_a_secret_that_is_learnt_after_it_was_written_is_seen_too(ledger: Ledger) -> None:
    ledger.output("the log", SECRET)
    ledger.test = "another test"
    ledger.secret(SECRET)
    assert ledger.leaks() == ["test_of_something: a secret in the log"]


@pytest.mark.parametrize(("token", "leak"), [(ACCESS, part) for part in ACCESS.split(".")[1:]] + [(REFRESH, REFRESH)])
def test_what_makes_a_token_good_is_secret(ledger: Ledger, token: str, leak: str) -> None:
    ledger.token(token)
    ledger.output("a problem", f"no: {leak}")
    assert len(ledger.leaks()) == 1


def test_what_names_a_token_is_no_secret(ledger: Ledger) -> None:
    for token in (ACCESS, REFRESH, "junk", "s" * 38):
        ledger.token(token)
    ledger.output("the log", f"{ACCESS.split('.', maxsplit=1)[0]} qrt_{'s' * 38} junk")
    assert ledger.leaks() == []


def test_raw_bytes_short_words_and_members_of_documents_are_seen(ledger: Ledger) -> None:
    raw = bytes(range(200, 232))
    ledger.raw(raw)
    ledger.secret("hunter22")
    ledger.document({"keys": [{"jwk": {"kid": "k" * 30, "d": SECRET}}]})
    for place, text in enumerate((repr(raw), raw.hex(), "redis://:hunter22@db", f"d={SECRET}")):
        ledger.output(str(place), text)
    ledger.output("4", "k" * 30)
    assert sorted(line[-1] for line in ledger.leaks()) == ["0", "1", "2", "3"]


def test_neither_the_ledger_nor_what_it_says_holds_a_secret(ledger: Ledger) -> None:
    ledger.secret(SECRET)
    ledger.output("the log", SECRET)
    assert SECRET not in f"{ledger!r}{ledger.leaks()}"


def test_every_seam_is_where_it_is_listened_at() -> None:
    for module, (name, method) in seams.CLASSES.items():
        assert callable(getattr(getattr(import_module(module), name), method))
    assert callable(import_module("quash_service.running").build)


PLANTED = """
import httpx, subprocess, sys
from quash.errors import TokenInvalid
from quash_service.logs import configure, get_logger

SECRET = "-".join(("planted", "0123456789", "abcdefghij", "KLMNOPQRST"))
AUTH = ("app", SECRET)

def answer(request):
    return httpx.Response(400, headers={"x-request-id": "r"}, json={"detail": request.url.params.get("leak", "")})

def ask(leak=""):
    client = httpx.Client(transport=httpx.MockTransport(answer), auth=AUTH, base_url="http://quash.test")
    client.get("/sessions", params={"leak": leak})

def test_clean(): ask()
def test_captured(): print(SECRET)
def test_exception(): TokenInvalid("malformed", evidence={"token": SECRET})
def test_problem(): ask(SECRET)
def test_log(monkeypatch):
    import io, logging
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure("info")
    get_logger().info("opened", secret=SECRET)
    root.handlers = handlers
    root.setLevel(level)
def test_child():
    code = f"import sys; sys.stderr.write({SECRET!r})  # quash_service"
    subprocess.run([sys.executable, "-c", code], capture_output=True)
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "with a worker"])
def test_a_run_in_which_a_secret_was_planted_fails_and_names_the_test_and_the_place(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    done = _run(tmp_path, PLANTED, *workers)
    assert done.returncode == 1, done.stdout + done.stderr
    report = done.stdout.partition("secrets in output")[2]
    for test, place in {
        "test_captured": "captured stdout call",
        "test_exception": "a TokenInvalid",
        "test_problem": "the answer 400 to GET /sessions",
        "test_log": "the log",
        "test_child": "the errors of `quash ",
    }.items():
        assert f"::{test}: a secret in {place}" in report, report
    assert "test_clean" not in report
    assert SECRET not in done.stdout
    assert "6 passed" in done.stdout


def _run(folder: Path, tests: str, *more: str) -> "subprocess.CompletedProcess[str]":
    (folder / "test_planted.py").write_text(tests)
    options = ["-p", "tests.watching", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={folder}", str(folder), *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
