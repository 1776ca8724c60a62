"""The order of calls: `reset` first, then any, and none after `close`."""

from __future__ import annotations

from gymnasium.error import ClosedEnvironmentError, ResetNeeded

from townlet_core.errors import InputError


class ResetFirst(InputError, ResetNeeded):
    """A call needs an episode, and none has begun."""


class Closed(InputError, ClosedEnvironmentError):
    """The environment was closed."""


def check_open(is_closed: bool) -> None:
    """Raise Closed after close()."""
    if is_closed:
        raise Closed("the environment is closed; make another one")


def check_begun(has_begun: bool, is_closed: bool, call: str) -> None:
    """Raise ResetFirst before the first reset(), and Closed after close()."""
    check_open(is_closed)
    if not has_begun:
        raise ResetFirst(f"the episode has not begun; call reset() before {call}()")
