"""Tokens whose signature was verified a moment ago, so that it need not be verified again.

An entry says only that the signature and the claims' types were good: everything that can change
(expiry, audience, revocation) is judged anew on every check. Least recently used goes first. For
one thread or event loop.
"""

from collections import OrderedDict

from .claims import Claims

MEAN_LENGTH = 1024
"""The characters for which each entry has room: a parsed token takes some ten times its length in memory."""


class VerifiedCache:
    """At most ``size`` verified tokens, fewer of long ones; ``size`` 0 keeps none.

    Raises ``ValueError`` for a negative ``size``.
    """

    __slots__ = ("_entries", "_length", "_size")

    def __init__(self, size: int) -> None:
        if size < 0:
            message = "size must not be negative"
            raise ValueError(message)
        self._size = size
        self._length = 0
        self._entries: OrderedDict[str, Claims] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def get(self, raw: str) -> Claims | None:
        """Return the claims of a token that was put here, and count it as used."""
        claims = self._entries.get(raw)
        if claims is not None:
            self._entries.move_to_end(raw)
        return claims

    def put(self, raw: str, claims: Claims) -> None:
        """Keep the claims of a token; the least recently used ones make room."""
        if raw not in self._entries:
            self._length += len(raw)
        self._entries[raw] = claims
        self._entries.move_to_end(raw)
        while len(self._entries) > self._size or self._length > self._size * MEAN_LENGTH:
            dropped, _ = self._entries.popitem(last=False)
            self._length -= len(dropped)

    def drop_key(self, key_tag: str) -> None:
        """Forget every token that the key verified: an entry dies with its key.

        Walks all entries, so that the hot path need not keep an index: keys go a few times a year.
        """
        entries = self._entries
        for raw in [raw for raw, claims in entries.items() if claims.key_tag == key_tag]:
            del entries[raw]
            self._length -= len(raw)
