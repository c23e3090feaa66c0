"""Runs what takes long in a process of its own, so that it does not hold up the event loop.

A *reading* is a function of this package without I/O: it judges a response, or reads a phase or outputs from it. On the
event loop all readings of one turn share a small budget (`_expressions/budget.py`). One that needs more, because its
response is large or its expressions are slow, runs here instead: it is sent with its arguments to the worker process,
and only its result comes back.

The worker process is started at first need. For each reading it forks a child, which ends with the reading, at the
call's deadline, or when it takes too much time or memory. There is one reading at a time: next is always the one whose
backend has taken the least time.
"""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from multidict import CIMultiDict, CIMultiDictProxy

from yaml_connector._expressions.budget import limited, share_turns
from yaml_connector._http.memory import give_back_what_is_freed
from yaml_connector._http.turns import next_turn
from yaml_connector.errors import EvaluationError, TransientError, YamlConnectorError

T = TypeVar("T")

LIMITS = struct.Struct("!ddQ")  # seconds until the deadline, seconds of CPU, bytes of memory
SIZE = struct.Struct("!Q")  # bytes of what follows; 0 at the end
LARGEST_RESULT = 12_000_000  # bytes: a response has 10 MiB at most, unless its spec says otherwise
_LARGEST_FRAME = LARGEST_RESULT + 16 * 1024
_AT_ONCE = 256 * 1024  # bytes that are received at once
_SECONDS = 2.0  # of CPU for one reading
_MEMORY = 32 * 2**20  # bytes for one reading
_MEMORY_FOR_BYTE = 8  # and for each byte of its responses: parsed JSON takes that much more
_FORGOTTEN = 0.99  # of what a backend has taken, what counts at the next reading
_MOST_BACKENDS = 1000
_OVERDUE = 0.5  # seconds after the deadline: a child has ended by then, or will not
_SWITCH = 0.0002  # seconds after which Python takes the turn from a thread, if the event loop wants it
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")  # nothing else: variables hold secrets


class Worker:
    """The worker process, for one event loop. `modules` are those that it imports at its start."""

    def __init__(self, modules: tuple[str, ...] = (), *, seconds: float = _SECONDS) -> None:
        self._modules = modules
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._is_busy = False
        self._waiting: list[_Waiter] = []
        self._taken: dict[str, float] = {}  # seconds, by backend
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, function: Callable[..., T], *args: Any, remaining: float, backend: str) -> T:
        """Return what a function of this package returns for these arguments.

        `remaining` are the seconds until the deadline, `backend` is whose answer it is. Raises what the function
        raises, EvaluationError if it takes too long or too much memory, TransientError at the deadline.
        """
        result: Any = None
        async for each in self.iterate(function, *args, remaining=remaining, backend=backend):
            result = each
        return cast(T, result)

    async def iterate(
        self, function: Callable[..., Any], *args: Any, remaining: float, backend: str
    ) -> AsyncIterator[Any]:
        """Yield what a function of this package yields, or the one value that it returns. See `run`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + remaining
        await self._turn(backend, remaining)
        frames: asyncio.Queue[bytearray | None] = asyncio.Queue()
        # a task of its own: the child may outlive a caller that is cancelled, and holds the turn until it has ended
        task = loop.create_task(self._exchange(function, args, deadline, backend, frames))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: frames.put_nowait(None))
        while (frame := await frames.get()) is not None:
            await next_turn()  # there may be more already, and others wait
            yield _result(frame)
        try:
            task.result()
        finally:
            del task  # its error refers to this frame

    async def close(self) -> None:
        """End the process."""
        for task in self._tasks:
            task.cancel()
        if self._control is not None:
            self._control.close()  # the process ends
            self._control = None
        if self._process is not None:
            process, self._process = self._process, None
            await asyncio.to_thread(_ended, process)

    # --- turns --------------------------------------------------------------------------------------------------------

    async def _turn(self, backend: str, remaining: float) -> None:
        if not self._is_busy:
            self._is_busy = True
            return
        waiter = _Waiter(backend)
        self._waiting.append(waiter)
        try:
            await asyncio.wait_for(waiter.granted.wait(), max(remaining, 0))
        except BaseException as error:
            if waiter.granted.is_set():
                self._next()
            else:
                self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                raise TransientError(
                    "the response was not read before the deadline: other large responses were being read",
                    may_have_been_processed=True,
                ) from None
            raise

    def _next(self) -> None:
        self._is_busy = bool(self._waiting)
        if self._waiting:
            waiter = min(self._waiting, key=lambda each: self._taken.get(each.backend, 0.0))
            self._waiting.remove(waiter)
            waiter.granted.set()

    # --- one reading --------------------------------------------------------------------------------------------------

    async def _exchange(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        deadline: float,
        backend: str,
        frames: asyncio.Queue[bytearray | None],
    ) -> None:
        """Send a reading to a child, and put what it sends back into `frames`; it ends with the child."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            remaining = deadline - began
            payload, buffers = _pickled(function, args)
            size = len(payload) + sum(len(buffer) for buffer in buffers)
            if remaining <= 0:
                raise _late()
            limits = LIMITS.pack(remaining, self._seconds, _MEMORY + _MEMORY_FOR_BYTE * size)
            head = b"".join(map(SIZE.pack, (len(buffers), len(payload), *map(len, buffers))))
            ended = False
            async with asyncio.timeout(remaining + _OVERDUE):
                with await self._child(limits) as child, suppress(BrokenPipeError, ConnectionResetError):
                    parts: list[bytes | memoryview] = [head, payload, *buffers]
                    for part in parts:  # a part at a time, so that nothing is copied
                        await loop.sock_sendall(child, part)
                    async for frame in _frames(child):
                        ended = not frame
                        if frame:
                            frames.put_nowait(frame)
            if not ended:
                if loop.time() >= deadline - 0.1:
                    raise _late()
                raise EvaluationError(
                    f"the response cannot be read: that takes more than {self._seconds:g} s of computing time, or more "
                    f"than {(_MEMORY + _MEMORY_FOR_BYTE * size) / 2**20:.0f} MiB of memory"
                )
        except TimeoutError:  # the kernel ends a child in time, so the process hangs: the next reading starts another
            if self._process is not None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process = None
            raise _late() from None
        except OSError as error:
            raise EvaluationError(
                f"the response cannot be read: the worker process failed ({error.strerror})"
            ) from None
        finally:
            self._taken[backend] = self._taken.get(backend, 0.0) + loop.time() - began
            self._taken = {name: taken * _FORGOTTEN for name, taken in self._taken.items() if taken > 0.001}
            if len(self._taken) > _MOST_BACKENDS:
                self._taken.clear()
            self._next()

    async def _child(self, limits: bytes) -> socket.socket:
        """Let the process fork a child, and return the connection to it."""
        for attempt in (1, 2):
            if self._process is None or self._process.poll() is not None:
                await self._start()
            assert self._control is not None
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            with theirs:
                try:
                    socket.send_fds(self._control, [limits], [theirs.fileno()])
                except OSError:  # it has just ended
                    ours.close()
                    self._process = None
                    if attempt == 2:
                        raise
                    continue
            return ours
        raise AssertionError

    async def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair()
        self._control.settimeout(1.0)
        with theirs:
            self._process = await asyncio.to_thread(_started, theirs, self._modules)


@dataclass(slots=True)
class _Waiter:
    backend: str
    granted: asyncio.Event = field(default_factory=asyncio.Event)


def _started(control: socket.socket, modules: tuple[str, ...]) -> subprocess.Popen[bytes]:
    package = Path(__file__).parents[2]
    paths = os.pathsep.join([str(package), *filter(os.path.exists, sys.path)])
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", "yaml_connector._http.worker_process", *modules],
        stdin=control.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # a traceback may quote a response
        env=environment | {"PYTHONPATH": paths},
        # A Ctrl-C or SIGTERM for all of the service's processes ends the service first. Not a session: between those,
        # Linux may share the processors by itself, however nice a process is.
        process_group=0,
    )


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _frames(child: socket.socket) -> AsyncIterator[bytearray]:
    """Yield what a child sends, until it ends. What it has not sent whole does not count."""
    while head := await _received(child, SIZE.size):
        (size,) = SIZE.unpack(head)
        if not size:
            yield head[:0]
        elif size > _LARGEST_FRAME or not (frame := await _received(child, size)):
            return
        else:
            yield frame


async def _received(child: socket.socket, size: int) -> bytearray | None:
    """Return so many bytes, without copies of them; None if there are fewer."""
    loop = asyncio.get_running_loop()
    received, at = bytearray(size), 0
    with memoryview(received) as view:
        while at < size:
            count = await loop.sock_recv_into(child, view[at : at + _AT_ONCE])
            if not count:
                return None
            at += count
    return received


def _late() -> TransientError:
    return TransientError("the response was not read before the deadline", may_have_been_processed=True)


# --- what is sent, and what comes back --------------------------------------------------------------------------------


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, CIMultiDictProxy):
            return CIMultiDict, (list(obj.items()),)
        if isinstance(obj, Mapping) and not isinstance(obj, dict) and not hasattr(obj, "status"):
            return dict, (dict(obj),)  # of Flyte, which the worker does not know
        return NotImplemented


def _pickled(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[bytes, list[memoryview]]:
    buffers: list[memoryview] = []
    written = io.BytesIO()
    _Pickler(written, 5, buffer_callback=lambda buffer: buffers.append(buffer.raw())).dump((function, args))
    return written.getvalue(), buffers


class _Unpickler(pickle.Unpickler):
    """Reads what a child sends: values of this package and of JSON."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("yaml_connector.") or module == "datetime" or (module, name) in _KNOWN:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(name)


_KNOWN = {("builtins", "frozenset"), ("builtins", "set"), ("jinja2.utils", "missing")}


def _result(frame: bytearray) -> Any:
    kind, value = _Unpickler(io.BytesIO(frame)).load()
    if kind == "error":
        error: YamlConnectorError = value
        try:
            raise error
        finally:
            del error, value  # they refer to this frame, and to those that hold the response
    return value


# --- readings on an event loop ----------------------------------------------------------------------------------------

_workers: dict[asyncio.AbstractEventLoop, Worker] = {}


def keep_turns_short(modules: tuple[str, ...]) -> None:
    """From now on, what takes long does not run on the current event loop, but in its worker."""
    loop = asyncio.get_running_loop()
    if loop not in _workers:
        _workers[loop] = Worker(modules)
        sys.setswitchinterval(_SWITCH)
        share_turns(loop)
        give_back_what_is_freed()


async def read_elsewhere(function: Callable[..., T], *args: Any, remaining: float, backend: str) -> T:
    """Run a reading for which the turn had not enough time left: in the worker, or here if there is none."""
    worker = _workers.get(asyncio.get_running_loop())
    if worker is None:
        with limited():
            return function(*args)
    return await worker.run(function, *args, remaining=remaining, backend=backend)


async def iterate_elsewhere(
    function: Callable[..., Iterator[T]], *args: Any, remaining: float, backend: str
) -> AsyncIterator[T]:
    """Run a reading that yields its results one after the other, like `read_elsewhere`."""
    worker = _workers.get(asyncio.get_running_loop())
    if worker is None:
        with limited():
            results = list(function(*args))
        for result in results:
            yield result
        return
    async for result in worker.iterate(function, *args, remaining=remaining, backend=backend):
        yield result


async def close_worker() -> None:
    """End the worker of the current event loop."""
    worker = _workers.pop(asyncio.get_running_loop(), None)
    if worker is not None:
        await worker.close()
