"""One engine and one application for each file, as in the contract tests."""

from tests.http.conftest import engine, folder, logged, options, service

__all__ = ["engine", "folder", "logged", "options", "service"]
