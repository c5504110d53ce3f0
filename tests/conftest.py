"""For all tests: no output of the run holds a secret."""

pytest_plugins = ["tests.watching"]
