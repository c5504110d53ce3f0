"""The life of a refresh secret: the newest makes tokens, older ones verify until their last token is dead.

Pure functions over all secrets of the file. The ids of dropped secrets stay in it, so that whoever
joins the state makes its floor forget them, however often and in whatever order hosts do that.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from re import compile as pattern
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

SECRET_BYTES = 32
SPREAD_S = 10
"""How long a secret is known before it makes tokens, so that all hosts have seen it by then."""
MAX_HELD = 16
"""With so many, no further secret is made without being asked for."""
SLACK_S = 65
"""The clocks' error and the greatest leeway, as in every lifetime of the state."""

_IDS = ascii_lowercase + ascii_uppercase + digits
ID = pattern(r"[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """One secret: its id, since when it is there (epoch s; 0 when nobody wrote that down), and itself."""

    id: str
    since: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is in the file: the secrets, newest first, and the ids of dropped ones."""

    held: tuple[StoredSecret, ...] = ()
    dropped: tuple[str, ...] = ()


def read(document: Any) -> Secrets:  # noqa: ANN401 - what a file holds
    """Read the file's document. Raises ``ValueError`` that says what is wrong and shows nothing of it."""
    try:
        held = tuple(
            StoredSecret(str(row["id"]), int(row.get("since", 0)), b64decode(row["secret"], validate=True))
            for row in document["secrets"]
        )
        dropped = tuple(str(one) for one in document.get("dropped", ()))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError('it is not {"secrets": [{"id", "secret"}, …]}') from None
    ids = [one.id for one in held]
    if not ids or len(set(ids)) < len(ids) or not all(ID.fullmatch(name) for name in (*ids, *dropped)):
        raise ValueError("each secret needs an id of its own, one letter or digit")
    if any(len(one.secret) < SECRET_BYTES for one in held):
        raise ValueError(f"a secret is shorter than {SECRET_BYTES} bytes")
    # An id that is held is not dropped, whatever somebody wrote.
    return Secrets(held, tuple(one for one in dropped if one not in ids))


def document(secrets: Secrets) -> dict[str, Any]:
    """Return the file's document."""
    rows = [{"id": one.id, "since": one.since, "secret": b64encode(one.secret).decode()} for one in secrets.held]
    return {"secrets": rows, "dropped": list(secrets.dropped)}


def added(secrets: Secrets, secret: bytes, now_s: int) -> Secrets:
    """Return them with a new newest one. Ids go round, so that one comes back as late as possible."""
    held = {one.id for one in secrets.held}
    start = _IDS.index(secrets.held[0].id) + 1 if secrets.held else 0
    free = [one for one in _IDS[start:] + _IDS[:start] if one not in held]
    name = next((one for one in free if one not in secrets.dropped), free[0])
    fresh = StoredSecret(name, now_s, secret)
    return Secrets((fresh, *secrets.held), tuple(one for one in secrets.dropped if one != name))


def without(secrets: Secrets, names: frozenset[str]) -> Secrets:
    """Return them without some, whose ids are remembered."""
    kept = tuple(one for one in secrets.held if one.id not in names)
    return Secrets(kept, (*(one for one in secrets.dropped if one not in names), *sorted(names)))


def making(secrets: Secrets, now_s: int) -> StoredSecret:
    """Return the secret for new tokens: the newest that every host has seen by now."""
    return next((one for one in secrets.held if one.since + SPREAD_S <= now_s), secrets.held[-1])


def lapses_at(secrets: Secrets, name: str, longest_s: int) -> int | None:
    """Return when the last token of a secret is dead (epoch s); ``None`` while it makes tokens, or if unknown.

    ``longest_s`` is how long a session can live without being refreshed.
    """
    at = [one.id for one in secrets.held].index(name)
    since = secrets.held[at - 1].since if at else 0
    return since + SPREAD_S + longest_s + SLACK_S if since else None


def lapsed(secrets: Secrets, now_s: int, longest_s: int) -> frozenset[str]:
    """Return the ids whose last token is dead."""
    ends = ((one.id, lapses_at(secrets, one.id, longest_s)) for one in secrets.held)
    return frozenset(name for name, end in ends if end is not None and end <= now_s)


def is_old(secrets: Secrets, now_s: int, rotate_s: int) -> bool:
    """Tell whether a new secret is due."""
    since = secrets.held[0].since
    return 0 < since <= now_s - rotate_s and len(secrets.held) < MAX_HELD
