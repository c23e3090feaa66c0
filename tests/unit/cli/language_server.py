"""A small editor: it talks to the real yaml-language-server over its standard input and output (LSP)."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 30.0  # seconds for one answer


@dataclass(frozen=True)
class Mark:
    """A place in a text: the line and the character, both from 0."""

    line: int
    character: int

    @classmethod
    def behind(cls, text: str, part: str) -> Mark:
        """The place behind the first `part` of a text."""
        before = text[: text.index(part) + len(part)]
        return cls(before.count("\n"), len(before) - before.rfind("\n") - 1)


class Editor:
    """The server, and what an editor tells and asks it."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.process = subprocess.Popen(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.diagnostics: dict[str, list[dict[str, Any]]] = {}
        self.asked = self.opened = 0
        threading.Thread(target=self._read, daemon=True).start()
        capabilities = {
            "textDocument": {
                "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
                "hover": {"contentFormat": ["markdown"]},
                "publishDiagnostics": {},
            }
        }
        root = folder.as_uri()
        self.ask("initialize", processId=None, rootUri=root, capabilities=capabilities, workspaceFolders=None)
        self.tell("initialized")
        settings = {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}
        self.tell("workspace/didChangeConfiguration", settings={"yaml": settings})

    def close(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()

    def open(self, file: Path, text: str | None = None) -> list[str]:
        """Open a file, or a text as if it stood there; gives the diagnostics, `line: message`, lines from 1."""
        uri = file.as_uri()
        self.diagnostics.pop(uri, None)
        content = file.read_text(encoding="utf-8") if text is None else text
        self.opened += 1
        document = {"uri": uri, "languageId": "yaml", "version": self.opened, "text": content}
        self.tell("textDocument/didOpen", textDocument=document)
        while uri not in self.diagnostics:
            self._take()
        return [f"{item['range']['start']['line'] + 1}: {item['message']}" for item in self.diagnostics[uri]]

    def completions(self, file: Path, mark: Mark) -> dict[str, dict[str, Any]]:
        """What the editor offers at a place of an open file, by its label."""
        found = self._at("textDocument/completion", file, mark)
        return {item["label"]: item for item in found["items"]}

    def hover(self, file: Path, mark: Mark) -> str:
        """What the editor shows of the word at a place of an open file."""
        found = self._at("textDocument/hover", file, mark)
        return "" if found is None else str(found["contents"]["value"])

    def _at(self, method: str, file: Path, mark: Mark) -> Any:
        place = {"line": mark.line, "character": mark.character}
        return self.ask(method, textDocument={"uri": file.as_uri()}, position=place)

    def ask(self, method: str, **params: Any) -> Any:
        """Send a request and wait for its answer."""
        self.asked += 1
        number = self.asked
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._take()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def tell(self, method: str, **params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def _take(self) -> dict[str, Any]:
        """The next message; diagnostics are kept, and what the server asks is answered with nothing."""
        message = self.messages.get(timeout=PATIENCE)
        if message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": None})
        return message

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while True:
            length = 0
            while (header := self.process.stdout.readline()).strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.partition(b":")[2])
            if not header:
                return
            self.messages.put(json.loads(self.process.stdout.read(length)))
