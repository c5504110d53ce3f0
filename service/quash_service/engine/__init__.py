"""The state engine: an embedded Valkey or any Redis or Valkey by URL, checked before it is trusted (DESIGN §10)."""

from quash_service.engine.checks import EngineFacts, check_engine
from quash_service.engine.connect import connect, connect_blocking, memory
from quash_service.engine.durability import Durability, parse_durability
from quash_service.engine.embedded import EmbeddedEngine, Supervisor
from quash_service.engine.errors import EngineRefused
from quash_service.engine.url import safe_url

__all__ = [
    "Durability",
    "EmbeddedEngine",
    "EngineFacts",
    "EngineRefused",
    "Supervisor",
    "check_engine",
    "connect",
    "connect_blocking",
    "memory",
    "parse_durability",
    "safe_url",
]
