"""The write side of the state: scripts behind typed methods, its floor, and listings."""

from .floor import Floor, FloorRefused, Pulse, Trust
from .listing import Listing, SessionView, session_end
from .runner import Actor, IssuerTable, Limits, Runner, StateFull
from .verbs import Opened, OpenLimited, OpenRevoked, Presented, Store, UserRevoked

__all__ = [
    "Actor",
    "Floor",
    "FloorRefused",
    "IssuerTable",
    "Limits",
    "Listing",
    "OpenLimited",
    "OpenRevoked",
    "Opened",
    "Presented",
    "Pulse",
    "Runner",
    "SessionView",
    "StateFull",
    "Store",
    "Trust",
    "UserRevoked",
    "session_end",
]
