"""A small job service that really runs commands: `python -m yaml_connector.demo.jobservice --port 8900`.

    POST /jobs               {"name", "timeout" in seconds, "command" [argv], "env" {name: value}}: 201 with the job;
                             the same Idempotency-Key again: 200 with the job that it made
    GET  /jobs               the user's jobs
    GET  /jobs/ID            {"id", "state": queued | running | done | error | cancelled, "detail", "result", ...}
    POST /jobs/ID/cancel     202; 409 if the job is over
    GET  /jobs/ID/logs       {"lines": [{"text", "time", "stream"}], "next"}; ?cursor= takes a `next`
    GET  /health             for everyone

Every failure answers {"message"}. With users, each needs their key as a bearer token and sees only their own
jobs. Commands run with the rights and in the working directory of the service, and end with it: it is for trying things
out, on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler

from yaml_connector.demo.jobs import OVER, USERS_VARIABLE, Job

MAX_TIMEOUT = 366 * 24 * 3600  # seconds
SHOWN = ("id", "name", "timeout", "command", "state", "detail", "result", "created", "started", "ended")


class JobService:
    """The jobs, and HTTP for them. `users` maps a user's name to their key; without users it is open to everyone."""

    def __init__(self, users: Mapping[str, str], page_size: int) -> None:
        self._users = users
        self._page_size = page_size
        self._jobs: dict[str, Job] = {}
        self._by_key: dict[tuple[str, str], Job] = {}  # by user and idempotency key

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(middlewares=[_answer_in_json, self._authenticate])
        app.router.add_get("/health", self._health)
        app.router.add_get("/jobs", self._list)
        app.router.add_post("/jobs", self._create)
        app.router.add_get("/jobs/{id}", self._get)
        app.router.add_post("/jobs/{id}/cancel", self._cancel)
        app.router.add_get("/jobs/{id}/logs", self._logs)
        return app

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/health":
            self._user(request)
        return await handler(request)

    def _user(self, request: web.Request) -> str:
        """Return the user whose key the request has; raise HTTPUnauthorized if there is none."""
        if not self._users:
            return ""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        sent = token.strip().encode("utf-8", "surrogateescape")
        # Every key is compared, each in constant time: how long it takes tells nothing.
        found = [user for user, key in self._users.items() if hmac.compare_digest(sent, key.encode())]
        if scheme.lower() != "bearer" or not found:
            raise _problem(web.HTTPUnauthorized, "a valid bearer token is needed", {"WWW-Authenticate": "Bearer"})
        return found[0]

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _list(self, request: web.Request) -> web.Response:
        user = self._user(request)
        return web.json_response({"jobs": [_shown(job) for job in self._jobs.values() if job.user == user]})

    async def _create(self, request: web.Request) -> web.Response:
        if "Origin" in request.headers:  # a page in a browser must not run commands on the machine it is read on
            raise _problem(web.HTTPForbidden, "jobs are not taken from web pages")
        name, timeout, command, env = _parse(await request.read())
        user, key = self._user(request), request.headers.get("Idempotency-Key")
        known = self._by_key.get((user, key or ""))
        job = known or Job(user, name, timeout, command, env)
        headers = {"Location": f"/jobs/{job.id}"}
        response = web.json_response(_shown(job), status=200 if known else 201, headers=headers)
        if known is None:
            self._jobs[job.id] = job
            if key:
                self._by_key[user, key] = job
            job.start()
        return response

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(_shown(self._job(request)))

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if job.state in OVER:
            raise _problem(web.HTTPConflict, f"the job {job.id!r} is over: it is {job.state}")
        job.cancel()
        return web.json_response(_shown(job), status=202)

    async def _logs(self, request: web.Request) -> web.Response:
        lines, cursor = self._job(request).lines, request.query.get("cursor") or "0"
        start = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 16 else -1
        if start and not 0 < start < len(lines):
            raise _problem(web.HTTPBadRequest, f"{cursor!r} is not a valid cursor of this log")
        end = start + self._page_size
        return web.json_response({"lines": lines[start:end], "next": str(end) if end < len(lines) else None})

    def cancel_all(self, patience: float = 4.0) -> None:
        """Cancel every job that is not over, and wait up to `patience` seconds until all are."""
        left = [job for job in self._jobs.values() if job.state not in OVER]
        for job in left:
            job.cancel("cancelled: the job service was stopped")
        deadline = time.monotonic() + patience
        for job in left:
            job.join(max(0.0, deadline - time.monotonic()))

    def _job(self, request: web.Request) -> Job:
        job_id = request.match_info["id"]
        job = self._jobs.get(job_id)
        if job is None or job.user != self._user(request):
            raise _problem(web.HTTPNotFound, f"there is no job {job_id!r}")
        return job


@web.middleware
async def _answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give aiohttp's own problems (no such path, too large, ...) a JSON body too."""
    try:
        return await handler(request)
    except web.HTTPException as problem:
        if problem.content_type == "application/json":
            raise
        headers = {name: value for name, value in problem.headers.items() if name == "Allow"}
        return web.json_response({"message": problem.reason}, status=problem.status, headers=headers)
    except web.RequestPayloadError:
        return web.json_response({"message": "the body cannot be read"}, status=400)


def _problem(kind: type[web.HTTPError], message: str, headers: Mapping[str, str] | None = None) -> web.HTTPError:
    return kind(text=json.dumps({"message": message}), content_type="application/json", headers=headers)


def _shown(job: Job) -> dict[str, Any]:
    return {field: getattr(job, field) for field in SHOWN}


def _parse(body: bytes) -> tuple[str, float, list[str] | None, dict[str, str]]:
    """Return name, timeout, command and variables of a job to make; raise HTTPBadRequest that says what is wrong."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise _problem(web.HTTPBadRequest, "the body is not JSON") from None
    if not isinstance(fields, dict):
        raise _problem(web.HTTPBadRequest, "the body must be an object")
    name, timeout, command = fields.get("name"), fields.get("timeout"), fields.get("command")
    if not isinstance(name, str) or not name:
        raise _problem(web.HTTPBadRequest, "name must be a non-empty string")
    # A bool is an int to Python; NaN fails the comparison.
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= MAX_TIMEOUT:
        raise _problem(web.HTTPBadRequest, f"timeout must be a positive number of seconds, at most {MAX_TIMEOUT}")
    if command is not None and not (
        isinstance(command, list) and command and all(isinstance(word, str) for word in command)
    ):
        raise _problem(web.HTTPBadRequest, "command must be a non-empty list of strings")
    env = fields.get("env") or {}
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise _problem(web.HTTPBadRequest, "env must be an object of strings")
    return name, timeout, command, env


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Tell whether aiohttp logs more than a request that is not valid HTTP, which has its response."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (HttpProcessingError, web.RequestPayloadError))


async def serve(service: JobService, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, and say on stdout where, once ready; then end all jobs. Port 0 is any free one."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    logger = logging.getLogger(__name__)
    logger.addFilter(_is_our_fault)
    runner = web.AppRunner(
        service.application(), access_log=None, logger=logger, shutdown_timeout=1.0, auto_decompress=False
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address = f"[{host}]" if ":" in host else host
        print(f"job service listening on http://{address}:{runner.addresses[0][1]}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
        service.cancel_all()


def parse_users(text: str) -> dict[str, str]:
    """Return `alice=alice-key,bob=bob-key` as a mapping; raise ValueError if it is not one, or a key is there twice."""
    users: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        user, _, key = pair.partition("=")
        if not user or not key or user in users or key in users.values():
            raise ValueError("users are given as NAME=KEY,NAME=KEY, each name and each key once")
        users[user] = key
    return users


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="jobservice", description="A job service that runs real commands.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900, help="0: any free one")
    parser.add_argument("--users", metavar="NAME=KEY,...", help=f"default: the environment's {USERS_VARIABLE}")
    parser.add_argument("--page-size", type=int, default=5, metavar="N", help="log lines a page")
    # What older callers say has no effect: jobs are kept in memory, and end with the service.
    parser.add_argument("--state", help=argparse.SUPPRESS)
    parser.add_argument("--kill-jobs-on-exit", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        users = parse_users(os.environ.get(USERS_VARIABLE, "") if options.users is None else options.users)
    except ValueError as error:
        parser.error(str(error))
    if options.page_size < 1:
        parser.error("--page-size must be at least 1")
    if not 0 <= options.port < 65536:
        parser.error("--port must be between 0 and 65535")
    try:
        asyncio.run(serve(JobService(users, options.page_size), options.host, options.port))
    except OSError as error:
        print(f"jobservice: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
