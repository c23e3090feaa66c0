"""A real browser for tests: Chromium without a window, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.real_processes import wait_until

PROGRAM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
PATIENCE = 60.0  # seconds


class Page:
    """One page. `requests` are the URLs that it asked for, `complaints` what it wrote to the console."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and give its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._next()
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return dict(message["result"])

    async def _next(self) -> dict[str, Any]:
        message = await self._socket.receive_json(timeout=PATIENCE)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        elif message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(str(message["params"]))
        return dict(message)

    async def open(
        self,
        url: str,
        *,
        width: int,
        height: int = 900,
        dark: bool = False,
        media: str = "screen",
        scripts: bool = True,
    ) -> None:
        """Show a page in a window of this size, as a person with these preferences sees it, with or without scripts."""
        for domain in ("Network", "Log", "Runtime", "Page"):
            await self.send(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", media=media, features=[scheme])
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await self.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        await self.send("Page.navigate", url=url)
        while (await self._next()).get("method") != "Page.loadEventFired":
            pass

    async def value(self, script: str) -> Any:
        """What a piece of JavaScript gives."""
        answer = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def screenshot(self) -> bytes:
        """A picture of what is in sight, as PNG."""
        return base64.b64decode((await self.send("Page.captureScreenshot", format="png"))["data"])


@asynccontextmanager
async def browser_page(port: int) -> AsyncIterator[Page]:
    """A new page of the browser that listens on a port, closed at the end."""
    tools = f"http://127.0.0.1:{port}/json"
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{tools}/new?about:blank") as answer:
            made = await answer.json()
        try:
            async with session.ws_connect(made["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
        finally:
            async with session.get(f"{tools}/close/{made['id']}") as answer:
                await answer.read()


@contextmanager
def browser() -> Iterator[int]:
    """A browser without a window; gives the port that it listens on."""
    assert PROGRAM is not None
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        said = Path(profile) / "DevToolsActivePort"
        command = [PROGRAM, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            text = wait_until(lambda: said.exists() and said.read_text(), "the browser")
            yield int(text.split()[0])
        finally:
            process.terminate()
            process.wait()
