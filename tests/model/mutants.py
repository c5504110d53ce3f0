"""Bugs to plant, one at a time, in the scripts and in the verdict's rules: each must be seen by the model."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha1
from typing import Any

import pytest

from quash import verdict
from quash.keyspace import Record
from quash.reasons import Reason
from quash_service.store import runner
from quash_service.store.scripts import Script, load

Rule = Callable[..., bool]


@dataclass(frozen=True, slots=True)
class InScript:
    """A bug in Lua: ``old`` becomes ``new`` in every script that has it, which must be ``script`` at least."""

    name: str
    script: str
    old: str
    new: str

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        """Plant it. Raises ``AssertionError`` when the source has changed so that there is no place for it."""
        assert load(self.script).source.count(self.old) == 1, f"{self.script} has no single place for {self.name!r}"
        patch.setattr(runner, "load", self._load)

    def _load(self, name: str) -> Script:
        script = load(name)
        source = script.source.replace(self.old, self.new)
        return replace(script, source=source, sha=sha1(source.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class InVerdict:
    """A bug in one rule of the verdict: ``rule`` takes its place."""

    name: str
    reason: Reason
    rule: Rule

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        """Plant it."""
        for table in ("CLAIM_RULES", "STATE_RULES"):
            rules: tuple[tuple[Reason, Rule], ...] = getattr(verdict, table)
            planted = tuple((reason, self.rule if reason is self.reason else rule) for reason, rule in rules)
            patch.setattr(verdict, table, planted)


def _never(*_: Any) -> bool:
    return False


def _expires_late(claims: Any, now_ms: int, _: Any) -> bool:
    return bool(now_ms > claims.exp * 1000)


def _session_expires_late(_: Any, state: Any, now_ms: int) -> bool:
    session = state.session
    return isinstance(session, Record) and now_ms > min(session.idle_end, session.absolute_end)


def _own_version_superseded(claims: Any, state: Any, _: int) -> bool:
    return bool(claims.ver <= state.version)


def _only_one_by_one(claims: Any, state: Any, _: int) -> bool:
    return bool(state.jti_revoked and claims.ver == 0)


MUTANTS: tuple[InScript | InVerdict, ...] = (
    InScript("a grace that ends a millisecond early", "rotate", "elapsed <= limit", "elapsed < limit"),
    InScript(
        "a grace that a retry extends",
        "rotate",
        "quietly('retried',",
        "s.rotated = now redis.call('HSET', u, sid, write_session(s)) quietly('retried',",
    ),
    InScript(
        "a retry from any agent",
        "rotate",
        "local same_agent = (fields.agent or '') == agent",
        "local same_agent = true",
    ),
    InScript(
        "an older generation accepted",
        "rotate",
        "if presented == s.generation - 1 then",
        "if presented < s.generation then",
    ),
    InScript("reuse that does not kill", "rotate", "kill(sid, s, 'u')", ""),
    InScript("theft taken for a lost response", "rotate", "and same_agent and same_net then", "then"),
    InScript("a class of reuse whose bound is one grace", "rotate", "2 * tonumber(grace)", "tonumber(grace)"),
    InScript("a resent rotation answered as a retry", "rotate", "if fields.op == op then", "if false then"),
    InScript("a resent reuse answered as an end", "rotate", "if class then return", "if false then return"),
    InScript("a secret that is not compared", "rotate", "(presented == s.generation and secret ~= s.secret)", "false"),
    InScript(
        "the previous secret is not kept", "rotate", "s.previous_secret, s.secret = secret, newest", "s.secret = newest"
    ),
    InScript(
        "more scope than the session has", "rotate", "if exceeds() then return {'scope'} end\n  advance()", "advance()"
    ),
    InScript(
        "rotation that does not restart the idle clock",
        "rotate",
        "s.idle_end = math.min(now + tonumber(idle), s.absolute_end)",
        "",
    ),
    InScript(
        "idle time that outlives the absolute end",
        "rotate",
        "s.idle_end = math.min(now + tonumber(idle), s.absolute_end)",
        "s.idle_end = now + tonumber(idle)",
    ),
    InScript("an idle end that is a millisecond late", "rotate", "if now >= s.idle_end or", "if now > s.idle_end or"),
    InScript(
        "a forgotten tombstone",
        "revoke_session",
        "redis.call('HSET', u, sid, write_tombstone(s, cause))",
        "redis.call('HDEL', u, sid)",
    ),
    InScript(
        "a tombstone that a later end overwrites", "revoke_session", "if s.dead then\n  redis", "if false then\n  redis"
    ),
    InScript(
        "a bump that forgets keep", "revoke_user", "for name, s in pairs(stamped) do", "for name, s in pairs({}) do"
    ),
    InScript(
        "a bump that keeps the dead",
        "revoke_user",
        "and not session_end(s, version, version_cause, session_tag) then",
        "then",
    ),
    InScript("a bump that may stand still", "revoke_user", "math.max(version + 1, now)", "math.max(version, now)"),
    InScript(
        "a version in seconds",
        "revoke_user",
        "math.max(version + 1, now)",
        "math.max(version + 1, math.floor(now / 1000))",
    ),
    InScript("a bump that a resend repeats", "revoke_user", "if string.sub(entry, 1, 8) == op then", "if false then"),
    InScript("access_only that does not re-stamp", "revoke_user", "if access_only == '1' then", "if false then"),
    InScript(
        "sessions below the version live on", "rotate", "if s.version < version then return version_cause end", ""
    ),
    InScript("the wrong session is evicted", "open", "return x.rotated < y.rotated", "return x.rotated > y.rotated"),
    InScript(
        "one session too many",
        "open",
        "if #live >= tonumber(max_sessions) then\n  table",
        "if #live > tonumber(max_sessions) then\n  table",
    ),
    InScript("a login in the bump's second", "open", "tonumber(auth_time) <= math", "tonumber(auth_time) < math"),
    InScript("seconds compared with milliseconds", "open", "math.floor(version / 1000)", "version"),
    InScript("a login of another version", "open", "tonumber(if_version) ~= version", "false"),
    InScript("a step-up whose auth_time is not judged", "step_up", "if stated == '1' and", "if false and"),
    InScript("a step-up in a dead session", "step_up", "if over then return {'ended', over} end", ""),
    InScript("a revoked token that is not written", "revoke_token", "redis.call('HSET', bucket, jti16, '')", ""),
    InScript(
        "a jti that is not written",
        "revoke_token",
        "redis.call('HSET', u, '!' .. jti16, int(math.max(held or 0, bound)))",
        "",
    ),
    InScript(
        "a bucket that is never asked for",
        "revoke_token",
        "redis.call('HSET', u, 'j', int(math.max(latest, bound)))",
        "",
    ),
    InVerdict("an expiry that is a millisecond late", Reason.EXPIRED, _expires_late),
    InVerdict("revoked tokens are not looked up", Reason.TOKEN_REVOKED, _never),
    InVerdict("revoked tokens of a bumped user are not looked up", Reason.TOKEN_REVOKED, _only_one_by_one),
    InVerdict("a version compared with <=", Reason.VERSION_SUPERSEDED, _own_version_superseded),
    InVerdict("a version that is not compared", Reason.VERSION_SUPERSEDED, _never),
    InVerdict("access tokens of a revoked session live on", Reason.SESSION_REVOKED, _never),
    InVerdict("access tokens of an expired session live on", Reason.SESSION_EXPIRED, _never),
    InVerdict("a session's end that is a millisecond late", Reason.SESSION_EXPIRED, _session_expires_late),
)
