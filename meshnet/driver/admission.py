"""Whether what was registered as a driver can be one, and instances of those that can."""

from __future__ import annotations

from meshnet.driver import told
from meshnet.driver.api import LinkDriver
from meshnet.driver.declaration import declaration_problems


class Refused(Exception):  # noqa: N818 - an answer
    """Why a candidate is no driver."""


def judged(candidate: object) -> type[LinkDriver]:
    """Return a candidate whose declaration is right. Raises Refused."""
    try:
        problems = declaration_problems(candidate)
    except KeyboardInterrupt:
        raise  # the user's
    except BaseException as error:
        raise Refused(f"reading its declaration raised {told.of_error(error)}") from error
    if problems:
        raise Refused("; ".join(problems))
    assert isinstance(candidate, type)
    assert issubclass(candidate, LinkDriver)
    return candidate


def instance_of(cls: type[LinkDriver]) -> LinkDriver:
    """Make a driver. Raises Refused."""
    try:
        return cls()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also what would end the process: it is the driver alone that is broken
        why = f"{cls.__qualname__}() raised {told.of_error(error)}; right would be no arguments"
        raise Refused(why) from error
