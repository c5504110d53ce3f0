"""The write side of the state: scripts behind typed methods, its floor, and listings."""

from .floor import Floor, FloorRefused, Pulse, Trust
from .limits import LifetimeLimits
from .listing import Listing, SessionView, session_end
from .outcomes import Opened, OpenLimited, OpenRevoked, UserRevoked
from .runner import Actor, IssuerTable, Limits, Runner, StateFull
from .verbs import Presented, Store

__all__ = [
    "Actor",
    "Floor",
    "FloorRefused",
    "IssuerTable",
    "LifetimeLimits",
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
