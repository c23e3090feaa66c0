"""Sends a running service what nobody's Flyte would send, over gRPC, and sees that only clean answers come back.

``python -m tests.integration.fuzz.fuzz_service [--cases 20000] [--first 0] [--kind meta]`` (``make fuzz-service``)
sends metas, log tokens, inputs, whole task templates, and bytes that are not messages. Every case is made from its
number, so a finding is made again with ``--first NUMBER --cases 1``. The service has a signing key, which the fuzzer
knows: much of what it sends is signed, so that it is read. The exit code is 1 if there are findings.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import grpc
import psutil
from flyteidl2.connector import connector_pb2
from google.protobuf.message import DecodeError

from tests.integration.attack import hostile_specs
from tests.integration.attack.backend_process import hostile_backend
from tests.integration.attack.secrets_planted import API_KEY, OTHER, PEM, SIGNING_KEY
from tests.integration.fuzz.service_cases import CALLS, KINDS, SHARES, Sent
from tests.support.serving import serving
from yaml_connector.flyte.service_client import ServiceClient

LONGEST = 10.0  # seconds of a call, as long as Flyte waits; nearly all take milliseconds
SECRETS = (API_KEY, OTHER, SIGNING_KEY, PEM[30:90])
LOGS = "/flyteidl2.connector.AsyncConnectorService/GetTaskLogs"
CLEAN = {"INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"}
NEVER = (
    "internal error",
    "Traceback",
    "Error(",
    "Error:",
    " object at 0x",
    "unexpected keyword",
    "Exception",
    "NoneType",
)


@dataclass
class Findings:
    """What was not clean, by kind; the first case of each."""

    found: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, 0)

    def add(self, what: str, case: str) -> None:
        if what not in self.found:
            self.found[what] = case
            print(f"{case}: {what}", flush=True)


class Sender:
    """Sends cases to the service on a port, and judges the answers."""

    def __init__(self, port: int, findings: Findings) -> None:
        self._client = ServiceClient(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", 2**26)])
        channel = self._client.channel
        self._calls = {name: channel.unary_unary(path) for name, path in CALLS.items()}
        self._logs = channel.unary_stream(LOGS)
        self._findings = findings

    def close(self) -> None:
        self._client.close()

    def send(self, number: int, kind: str) -> None:
        """Send the case of a number, and judge what comes back."""
        random = Random(number)
        sent = KINDS[kind](random)
        case, began = f"case {number} ({kind}, {sent.call})", time.monotonic()
        try:
            if sent.call == "GetTaskLogs":
                answer = b"".join(self._logs(sent.data, timeout=30))
            else:
                answer = self._calls[sent.call](sent.data, timeout=30)
            self._findings.answers["OK"] += 1
            self._judge_text(case, answer.decode("utf-8", "replace"))
        except grpc.RpcError as error:
            self._judge_error(case, sent, error.code().name, error.details() or "")
        took = time.monotonic() - began
        self._findings.slowest = max(self._findings.slowest, (took, number))
        if took > LONGEST:
            self._findings.add(f"a call takes longer than {LONGEST:g} s", f"{case}: {took:.1f} s")

    def _judge_error(self, case: str, sent: Sent, code: str, details: str) -> None:
        self._findings.answers[code] += 1
        # what is not a message never reaches our code: gRPC itself says so
        if not self._parses(sent):
            return
        if code not in CLEAN:
            self._findings.add(f"{code}: {details[:100]}", case)
        if code == "INTERNAL" and sent.call == "GetTask":
            self._findings.add(f"get was answered with an error: {details[:100]}", case)
        self._judge_text(case, details)

    def _judge_text(self, case: str, text: str) -> None:
        for sign in NEVER:
            if sign in text:
                at = text.index(sign)
                self._findings.add(f"not our own words: {text[max(0, at - 60) : at + 60]!r}", case)
        for secret in SECRETS:
            if secret in text:
                self._findings.add("a secret is shown", case)

    @staticmethod
    def _parses(sent: Sent) -> bool:
        try:
            getattr(connector_pb2, f"{sent.call}Request").FromString(sent.data)
        except DecodeError:
            return False
        return True


@contextmanager
def fuzzed_service(folder: Path) -> Iterator[tuple[int, Any]]:
    """Start the service and its backend; yield its port, and its process."""
    with ExitStack() as stack:
        specs = folder / "connectors.d"
        specs.mkdir()
        hostile_specs.write_specs(specs)
        variables = {
            "HOSTILE": stack.enter_context(hostile_backend(folder)),
            "VICTIM_KEY": API_KEY,
            "VICTIM_PEM": PEM,
            "OTHER_SECRET": OTHER,
            "YAML_CONNECTOR_SIGNING_KEY": SIGNING_KEY,
            "YAML_CONNECTOR_ACCEPT_UNSIGNED": "1",
            "YAML_CONNECTOR_FILE_PREFIXES": "s3://allowed/,s3://bucket/",
        }
        service = stack.enter_context(serving(folder, specs, forked=False, **variables))
        yield service.port, service.process


def fuzz(numbers: range, kind: str | None, folder: Path, at_once: int = 8) -> Findings:
    """Send the cases of these numbers to a service that is started for them."""
    findings = Findings()
    with fuzzed_service(folder) as (port, process):
        turn, lock = iter(numbers), threading.Lock()

        def send_all() -> None:
            with closing(Sender(port, findings)) as sender:
                while True:
                    with lock:
                        number = next(turn, None)
                    if number is None:
                        return
                    [drawn] = Random(number * 7 + 1).choices(list(SHARES), SHARES.values())
                    sender.send(number, kind or drawn)

        threads = [threading.Thread(target=send_all) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if process.process.poll() is not None:
            findings.add("the service has ended", f"code {process.process.returncode}")
        else:
            memory = psutil.Process(process.process.pid).memory_info().rss
            print(f"memory of the service: {memory / 1e6:.0f} MB")
        for sign in ("Traceback", "unexpectedly", *SECRETS):
            if sign in process.output:
                at = process.output.index(sign)
                findings.add("the service's log has what it must not have", process.output[at : at + 1500])
    return findings


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=20_000)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--kind", choices=sorted(SHARES))
    given = options.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        findings = fuzz(range(given.first, given.first + given.cases), given.kind, Path(folder))
    rate = given.cases / (time.monotonic() - began)
    print(f"{given.cases} cases from {given.first} on, {rate:.0f} a second, {len(findings.found)} kinds of findings")
    print(f"answers: {dict(findings.answers.most_common())}")
    print(f"slowest: {findings.slowest[0]:.2f} s (case {findings.slowest[1]})")
    return 1 if findings.found else 0


if __name__ == "__main__":
    sys.exit(main())
