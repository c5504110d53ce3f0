"""The application and its engine, as the tests of the HTTP contract have them."""

from tests.http.conftest import engine, folder, logged, options, service

__all__ = ["engine", "folder", "logged", "options", "service"]
