"""What the tables of docs/settings.md must say, made from the settings themselves."""

from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from quash_service.config import IssuerConfig
from quash_service.settings import Settings

SETTINGS_HEAD = ("| name | environment | default | allowed | meaning |", "|---|---|---|---|---|")
ISSUERS_HEAD = ("| name | default | allowed | meaning |", "|---|---|---|---|")


def settings_rows() -> list[str]:
    """Return the table of settings; `issuers` is none of the environment."""
    rows = [
        f"| `{name}` | `QUASH_{name.upper()}` | {default(field)} | {allowed(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
        if name != "issuers"
    ]
    return [*SETTINGS_HEAD, *rows]


def issuer_rows() -> list[str]:
    """Return the table of what an `[[issuers]]` table may hold."""
    rows = [
        f"| `{name}` | {default(field)} | {allowed(field)} | {field.description} |"
        for name, field in IssuerConfig.model_fields.items()
    ]
    return [*ISSUERS_HEAD, *rows]


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, frozenset | tuple):
        return "`[" + ", ".join(f'"{one}"' for one in sorted(value)) + "]`"
    return f"`{value.value if isinstance(value, Enum) else value}`"


def allowed(field: FieldInfo) -> str:
    bounds = {type(one).__name__: one for one in field.metadata}
    low, high = getattr(bounds.get("Ge"), "ge", None), getattr(bounds.get("Le"), "le", None)
    if low is not None:
        return f"{low} to {high}" if high is not None else f"{low} or more"
    choices = _choices(field.annotation)
    return ", ".join(f"`{one}`" for one in choices)


def _choices(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(one.value) for one in annotation]
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) is frozenset:
        return _choices(get_args(annotation)[0])
    return []
