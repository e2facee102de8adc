"""Turns errors into one readable line on standard error and an exit status.

0 done; 1 a check or a unit failed; 2 the request was wrong; 130 interrupted; 143 terminated.
"""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

from premask._errors import PremaskError, RequestError

TRACEBACK_VARIABLE = "PREMASK_TRACEBACK"
INTERRUPTED, TERMINATED = 130, 143

P = ParamSpec("P")


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """`command`, with errors told in a line and no traceback unless it is asked for."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except BrokenPipeError:
            _close_output()  # the reader has seen enough, as in `premask info | head`
        except KeyboardInterrupt:
            leave("interrupted; run the same command again to go on", INTERRUPTED)
        except PremaskError as error:
            if _wants_traceback():
                raise
            leave(str(error), 2 if isinstance(error, RequestError) else 1)
        except ModuleNotFoundError as error:
            if _wants_traceback() or (error.name or "").startswith("premask"):
                raise
            leave(f"{error.name} is not installed; pip install 'premask[pipeline]'", 1)
        except UnicodeEncodeError as error:
            if _wants_traceback():
                raise
            # Names of files are bytes to the system; Arrow and JSON take text alone.
            leave(f"{str(error.object)[:200]!a} is no valid UTF-8; give it another name", 2)
        except OSError as error:
            if _wants_traceback():
                raise
            leave(_describe(error), 1)

    return run


def leave(message: str, status: int) -> NoReturn:
    """Prints `message` on standard error and ends the process."""
    print(f"premask: {message}", file=sys.stderr)
    sys.exit(status)


def exit_on_terminate() -> None:
    """Makes SIGTERM end the process as Ctrl-C does: workers stopped, lock released."""

    def terminate(*_: object) -> NoReturn:
        leave("terminated; run the same command again to go on", TERMINATED)

    signal.signal(signal.SIGTERM, terminate)


def _wants_traceback() -> bool:
    return bool(os.environ.get(TRACEBACK_VARIABLE))


def _describe(error: OSError) -> str:
    where = f" - at {error.filename}" if error.filename else ""
    remedy = "; make room and run the same command again" if error.errno == errno.ENOSPC else ""
    return f"{error.strerror or error}{remedy}{where}"


def _close_output() -> NoReturn:
    # Python flushes standard output once more at its end, and would complain again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
