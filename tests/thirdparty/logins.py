"""Users who log in, for programs of others to refresh, look at and log out."""

from itertools import count
from typing import Any

import httpx

from tests.servers import RunningServer

CALLER = "admin"
SECRET = "a secret-of_many.kinds~of+characters:100%&="
"""What a careless encoding of Basic or of a form would break."""

_numbers = count(1)


def login(server: RunningServer, **body: Any) -> dict[str, Any]:
    """Open a session of a new user and return the answer."""
    sub = f"user-{next(_numbers)}"
    document = {"sub": sub, "scope": "read write", "client_id": "shop", "claims": {"roles": ["buyer"]}, **body}
    answer = httpx.post(f"{server.url}/sessions", json=document, auth=(CALLER, SECRET))
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "sub": document["sub"]}


def verdict(server: RunningServer, token: str) -> str:
    """Return what the service itself says of a token: a reason, or `active`."""
    answer = httpx.post(f"{server.url}/introspect/batch", json={"tokens": [token]}, auth=(CALLER, SECRET))
    (result,) = answer.raise_for_status().json()["results"]
    return str(result.get("reason", result["verdict"]))
