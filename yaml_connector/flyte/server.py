"""The connector service in a process of its own: gRPC, health, metrics, signals, reloading."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import ssl
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click
import grpc
import grpc.aio
from aiohttp import web
from aiohttp.http import HttpProcessingError
from flyteidl2.connector import service_pb2
from flyteidl2.connector.service_pb2_grpc import (
    add_ConnectorMetadataServiceServicer_to_server,
)
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from yaml_connector._http.memory import spare_collections
from yaml_connector._http.thread import in_thread
from yaml_connector._http.worker import close_worker
from yaml_connector._loading.loader import gc_disabled, spec_files
from yaml_connector._loading.watch import stamps
from yaml_connector.flyte._internals import ConnectorMetadataService, load_installed_connectors
from yaml_connector.flyte.connector import YamlConnector
from yaml_connector.flyte.large_requests import handlers_of
from yaml_connector.flyte.serve import ServeOptions
from yaml_connector.flyte.served_specs import ServedSpecs, SpecsRejectedError, log_to_stderr
from yaml_connector.flyte.servicer import GuardedConnectorService
from yaml_connector.flyte.status_page import is_loopback, known_jobs, respond, status_of

logger = logging.getLogger("yaml_connector")

GRACE = 10.0  # seconds for calls under way when the service ends; Flyte waits no longer for one
_WATCH_PERIOD = 0.5  # seconds
_WORKERS = 10  # threads, as many as `c0` has


class StartError(Exception):
    """The service cannot start; the message says why in one sentence."""


class ConnectorServer:
    """One connector service, from its start to its orderly end."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._specs = ServedSpecs(options.specs)
        self._stop, self._reload_wanted = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises SpecsRejectedError or StartError if it cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)
        with gc_disabled():
            self._specs.update()
            load_installed_connectors()
            spare_collections()
        log_to_stderr()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            http = await self._start_http(stack)
            grpc_address = await self._start_grpc(stack)
            self._in_background(self._reload_when_wanted())
            if self._options.watch:
                self._in_background(self._watch())
            self._specs.warn_about_keys()
            click.echo(f"serving on {grpc_address}{http}: {', '.join(self._specs.names)}")
            await self._stop.wait()
            logger.info("stopping: calls under way may finish within %g s", GRACE)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        """Take the last step: nothing is served any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connector in self._specs.connectors:
            await connector.jobs.close()
        await close_worker()

    # --- gRPC and HTTP ------------------------------------------------------------------------------------------------

    async def _start_grpc(self, stack: AsyncExitStack) -> str:
        """Start the service with Flyte's servicers and health checks; returns its address."""
        options = self._options
        credentials = _credentials(options.tls_cert, options.tls_key)
        # without reuse of ports, two services on one port would share its calls unnoticed
        server = grpc.aio.server(ThreadPoolExecutor(_WORKERS), options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((handlers_of(GuardedConnectorService()),))
        add_ConnectorMetadataServiceServicer_to_server(ConnectorMetadataService(), server)
        checks = _HealthServicer()
        for service in (*service_pb2.DESCRIPTOR.services_by_name.values(), None):
            name = service.full_name if service is not None else health.SERVICE_NAME
            await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        wanted = _address(options.host, options.port)
        try:
            if credentials is None:
                port = server.add_insecure_port(wanted)
            else:
                port = server.add_secure_port(wanted, credentials)
        except RuntimeError:
            raise StartError(await _why_not_listening(options.host, options.port)) from None
        await server.start()
        stack.push_async_callback(server.stop, GRACE)
        stack.push_async_callback(checks.enter_graceful_shutdown)
        return _address(options.host, port) + (" (TLS)" if credentials is not None else "")

    async def _start_http(self, stack: AsyncExitStack) -> str:
        """Start /healthz, /metrics and /status, if they are wanted; returns what is said of their address."""
        if self._options.http is None:
            return ""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/metrics", _metrics),
                web.get("/status", self._status),
                web.get("/", _to_status),
            ]
        )
        runner = web.AppRunner(app, access_log=None, logger=_http_logger(), shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, self._options.host, self._options.http).start()
        except OSError:
            raise StartError(await _why_not_listening(self._options.host, self._options.http)) from None
        return f", health and metrics on http://{_address(self._options.host, runner.addresses[0][1])}"

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(status=503, text="stopping\n") if self._stop.is_set() else web.Response(text="ok\n")

    async def _status(self, request: web.Request) -> web.Response:
        local = is_loopback(self._options.host)
        jobs = known_jobs(self._specs.current, self._specs.removed)
        return await in_thread(lambda: respond(request, status_of(jobs), local=local))

    # --- reloading ----------------------------------------------------------------------------------------------------

    async def _reload_when_wanted(self) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            try:
                await self._reload()
            except Exception as error:  # the next change is to be loaded all the same
                logger.error("the specs cannot be loaded (%s): those before stay in service", type(error).__name__)

    async def _reload(self) -> None:
        try:
            changes = await asyncio.to_thread(self._specs.update)  # compiling a spec takes some milliseconds
        except SpecsRejectedError as error:
            click.echo(f"{error}: the specs that were loaded before stay in service", err=True)
            return
        for line in changes.lines or ["nothing changed"]:
            click.echo(f"reloaded: {line}")
        for connector in changes.retired:
            self._in_background(_close_later(connector))

    async def _watch(self) -> None:
        def look() -> dict[str, tuple[int, int, int]]:
            try:
                return stamps([self._specs.path, *spec_files(self._specs.path, [])])
            except OSError:  # loading says why
                return {}

        before = look()
        while True:
            await asyncio.sleep(_WATCH_PERIOD)
            now = look()
            if now != before:
                before = now
                self._reload_wanted.set()


class _HealthServicer(health.aio.HealthServicer):  # type: ignore[misc]  # the library has no types
    """gRPC's health checks, without watches of services that there are not: each would be kept, with a name of up to
    4 MB, for as long as its caller likes."""

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext) -> None:
        if request.service not in self._server_status:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        await super().Watch(request, context)


async def _close_later(connector: YamlConnector) -> None:
    """Close the sockets of a connector that gets no new calls, once those under way must be over."""
    try:
        await asyncio.sleep(connector.loaded.spec.connection.deadline + GRACE)
    finally:
        await connector.jobs.close()


def _http_logger() -> logging.Logger:
    """Return where aiohttp logs what goes wrong: one line for a request that is not HTTP, since anybody can send it."""

    def shorten(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args, record.exc_info = (
                "a request that is not valid HTTP: %s",
                (type(error).__name__,),
                None,
            )
        return True

    requests = logging.getLogger("yaml_connector.requests")
    requests.filters[:] = [shorten]
    return requests


async def _to_status(request: web.Request) -> web.Response:
    raise web.HTTPFound("/status")


async def _metrics(request: web.Request) -> web.Response:
    try:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    except (ValueError, TypeError):  # it cannot read every header
        encode, content_type = choose_encoder("")
    return web.Response(body=encode(REGISTRY), headers={"Content-Type": content_type})


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _why_not_listening(host: str, port: int) -> str:
    """Return the reason in one sentence, found by trying once more: gRPC tells none."""
    try:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        reason = "the port is in use" if in_use else error.strerror or str(error)
    else:
        server.close()
        reason = "gRPC refused the address"
    return f"cannot listen on {_address(host, port)}: {reason}"


def _credentials(cert: str | None, key: str | None) -> grpc.ServerCredentials | None:
    """Return the credentials for TLS from the two files, or None. Raises StartError if they cannot be used."""
    if cert is None or key is None:
        return None
    try:
        chain, private = Path(cert).read_bytes(), Path(key).read_bytes()
        # gRPC would accept anything here, and then fail every handshake; without a password it would ask for one
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise StartError(f"the key {key} does not belong to the certificate {cert}") from None
        raise StartError(
            f"{cert} and {key} cannot be used for TLS: a PEM certificate and its PEM key without a password are needed"
        ) from None
    except OSError as error:
        raise StartError(f"{error.filename} cannot be read: {error.strerror}") from None
    return grpc.ssl_server_credentials([(private, chain)])
