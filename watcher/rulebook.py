"""The rules of a config, compiled.

Owns the way from a ``[[rule]]`` to a ``Rule``. Must not judge, or know what a key may hold
(``watcher.config``).
"""

from __future__ import annotations

from watcher.config import Config, Known
from watcher.config import Rule as RuleSettings
from watcher.errors import ConfigError, QueryError
from watcher.rules import Rule, compile_rule


def compile_rules(config: Config) -> tuple[Rule, ...]:
    """The rules of a config, ready to judge. Raises ConfigError."""
    try:
        return tuple(map(_compile, config.rules))
    except QueryError as exc:
        raise ConfigError(str(exc)) from exc


def _compile(rule: RuleSettings) -> Rule:
    return compile_rule(
        rule.name,
        query=rule.query,
        exclude=rule.exclude,
        sources=rule.sources,
        events=rule.events,
        min_upvotes=rule.min_upvotes,
        min_multiplier=rule.min_multiplier,
        ripen_s=rule.ripen.total_seconds(),
        authors=rule.authors,
        organizations=rule.organizations,
        budget=rule.budget,
        tell_known=rule.known is Known.TELL,
    )
