"""The worker process (see `worker.py`): it forks a child for each reading, and ends with the service.

Its standard input is a socket: each message on it holds the limits of a reading, and the connection for its child.
"""

from __future__ import annotations

import gc
import os
import pickle
import re
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from yaml_connector._expressions.budget import allow
from yaml_connector._http.worker import LARGEST_RESULT, LIMITS, SIZE
from yaml_connector.errors import EvaluationError, YamlConnectorError

_WORK = 5_000_000_000  # nanoseconds that an evaluation may count; the clock ends most of them earlier
_NICE = 5  # the service goes first; where both want one processor, a reading has a quarter of it
_MOST_VALUES = 100_000  # of a result: the service reads it on its event loop, as the next two
_MOST_HALVES = 50_000  # of characters: reading one takes as long as reading a hundred whole ones
_HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")


def main(modules: list[str]) -> None:
    """Serve until the other end of the socket is closed."""
    os.nice(_NICE)
    for name in modules:
        import_module(name)
    allow(_WORK)
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=0)
    child = 0
    while True:
        limits, connections, _, _ = socket.recv_fds(control, LIMITS.size, 1)
        if child and os.waitpid(child, os.WNOHANG)[0] == 0:  # a new reading, or the end: it is not wanted any more
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        if not limits:
            return
        child = os.fork()
        if child == 0:
            control.close()
            _run(socket.socket(fileno=connections[0]), *LIMITS.unpack(limits))
            os._exit(0)
        os.close(connections[0])


def _run(connection: socket.socket, remaining: float, seconds: float, memory: int) -> None:
    """Run one reading in a child."""
    signal.setitimer(signal.ITIMER_REAL, remaining)  # both end the process
    signal.setitimer(signal.ITIMER_PROF, seconds)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory(memory)
    gc.disable()  # the process ends before there is much garbage
    try:
        stream = connection.makefile("rb")
        count = _number(stream)
        sizes = [_number(stream) for _ in range(count + 1)]
        payload, *buffers = [stream.read(size) for size in sizes]
        function, args = pickle.loads(payload, buffers=buffers)  # noqa: S301 - the service made it
        _answer(function, args, connection)
    except MemoryError:
        gc.collect()
        size = f"{memory / 2**20:.0f} MiB"
        _send_error(connection, EvaluationError(f"the response cannot be read: that takes more than {size} of memory"))
    connection.sendall(SIZE.pack(0))


def _answer(function: Callable[..., Any], args: tuple[Any, ...], connection: socket.socket) -> None:
    try:
        result = function(*args)
        for item in result if isinstance(result, Iterator) else (result,):
            if _is_large(item):
                raise EvaluationError(f"what is read from the response has more than {_MOST_VALUES:,} values")
            data = pickle.dumps(("result", item))
            if len(data) > LARGEST_RESULT:
                raise EvaluationError(f"what is read from the response has more than {LARGEST_RESULT / 1e6:.0f} MB")
            if (len(data) - len(_HALF.sub(b"", data))) // 3 > _MOST_HALVES:
                raise EvaluationError("what is read from the response is text with many halves of characters (\\ud800)")
            connection.sendall(SIZE.pack(len(data)) + data)
    except YamlConnectorError as error:
        _send_error(connection, error)
    except MemoryError:
        raise
    except OSError:
        os._exit(0)  # nobody listens any more
    except Exception as error:  # a bug, or a value that cannot be sent; its message may quote the response
        _send_error(
            connection, EvaluationError(f"the response cannot be read: internal error ({type(error).__name__})")
        )


def _send_error(connection: socket.socket, error: YamlConnectorError) -> None:
    data = pickle.dumps(("error", error))
    connection.sendall(SIZE.pack(len(data)) + data)


def _is_large(value: Any) -> bool:
    """Tell whether a result has too many values."""
    count, waiting = 0, [value]
    while waiting and count <= _MOST_VALUES:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
            count += len(item)
        elif isinstance(item, list | tuple):
            waiting.extend(item)
            count += len(item)
        elif hasattr(item, "__slots__") and not isinstance(item, str):
            waiting.extend(getattr(item, name, None) for name in item.__slots__)
    return count > _MOST_VALUES


def _number(stream: Any) -> int:
    (number,) = SIZE.unpack(stream.read(SIZE.size))
    return int(number)


def _limit_memory(memory: int) -> None:
    statm = Path("/proc/self/statm")
    if statm.exists():  # elsewhere the time alone bounds it
        now = int(statm.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, now + memory))


if __name__ == "__main__":
    main(sys.argv[1:])
