"""The errors that Premask raises.

::

    PremaskError
    ├── RequestError    (also ValueError)  a job, an option, a path or an argument is wrong
    │   └── PolicyError                    a policy is wrong, or needs tracks that rows lack
    ├── FormatError     (also ValueError)  a shard set is damaged, or is none
    └── UnitError                          a unit of work failed; the log has its traceback

A message says what was wrong, the value got, what is allowed and the remedy, and ends with
the place (``- at policy.rate``, a shard's path, a row). `location` carries the place alone.
The command line prints the message and exits with 2 for a `RequestError`, with 1 otherwise.
"""

from __future__ import annotations


class PremaskError(Exception):
    """Base of every error that Premask raises on purpose."""

    def __init__(self, message: str, *, location: str = "") -> None:
        super().__init__(f"{message} - at {location}" if location else message)
        self.location = location


class RequestError(PremaskError, ValueError):
    """The request is wrong: a job file, an option, a path or an argument."""


class PolicyError(RequestError):
    """A masking policy is wrong or cannot be applied to these rows."""


class FormatError(PremaskError, ValueError):
    """A shard set is damaged, incomplete, or not a shard set at all."""


class UnitError(PremaskError):
    """A unit of work failed."""
