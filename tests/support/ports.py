"""Ports that belong to a test for as long as it needs them.

A test must not close a port and bind it again: in between, the operating system may give it to another process, or to
an outgoing connection. A socket that is bound and does not listen keeps the port. Connections to it are refused, and a
server that sets SO_REUSEPORT (gRPC) or SO_REUSEADDR (most HTTP servers) can listen on it all the same.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def held_socket() -> socket.socket:
    """Return a socket that holds a port of 127.0.0.1 until it is closed."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held


@contextmanager
def held_port() -> Iterator[int]:
    """Hold a port of 127.0.0.1 until the block ends. As long as no server is started on it, it is a dead backend."""
    with held_socket() as held:
        yield held.getsockname()[1]


def accepts(port: int) -> bool:
    """Tell whether a server listens on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
