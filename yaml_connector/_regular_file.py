"""Opening files that somebody else may replace while the process runs: secrets, keys, specs."""

from __future__ import annotations

import errno
import os
from stat import S_ISREG


def regular_file(path: str, flags: int) -> int:
    """Open a file, as `opener` of Python's `open`. Raises OSError for one that is not a regular file: a pipe waits for
    its writer, and everybody with it, and a device may never end."""
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    raise OSError(errno.EINVAL, "not a regular file", path)
