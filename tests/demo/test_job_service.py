"""The demo's job service, as its users meet it: a process of its own, on a real port, running real commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from yaml_connector.demo.jobservice import main

ROOT = Path(__file__).parents[2]
MODULE = "yaml_connector.demo.jobservice"
OVER = {"done", "error", "cancelled"}


class Service:
    """A job service in a process of its own, and a client of it."""

    def __init__(self, state: Path, *options: str, **environment: str) -> None:
        self.state = state
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "--port", "0", "--state", str(state), *options],
            cwd=ROOT,
            env={**os.environ, "DEMO_STEP_SECONDS": "0.01", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.ready_line = self.process.stdout.readline()
        self.url = self.ready_line.split()[-1]
        self.http = httpx.Client(base_url=self.url, timeout=5)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Signal the service; gives its exit code and what else it wrote to stdout and stderr."""
        self.http.close()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=8)
        return self.process.returncode, out, err

    def submit(self, *command: str, name: str = "world", timeout: float = 30, key: str | None = None) -> str:
        """Submit a job (without a command: the demo program) and give its id."""
        body: dict[str, Any] = {"name": name, "timeout": timeout}
        if command:
            body["command"] = list(command)
        answer = self.http.post("/jobs", json=body, headers={"Idempotency-Key": key} if key else {})
        assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == "queued"
        job_id = answer.json()["id"]
        assert isinstance(job_id, str)
        return job_id

    def get(self, job_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job = answer.json()
        assert isinstance(job, dict)
        return job

    def until(self, job_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job as soon as something holds of it."""
        deadline = time.monotonic() + 8
        while not holds(job := self.get(job_id)):
            assert time.monotonic() < deadline, job
            time.sleep(0.02)
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        return self.until(job_id, lambda job: job["state"] in OVER)

    def run(self, *command: str, name: str = "world", timeout: float = 30) -> dict[str, Any]:
        return self.ended(self.submit(*command, name=name, timeout=timeout))

    def page(self, job_id: str, cursor: str | None = None) -> tuple[list[dict[str, Any]], str | None]:
        answer = self.http.get(f"/jobs/{job_id}/logs", params={"cursor": cursor} if cursor else {})
        assert answer.status_code == 200, answer.text
        return answer.json()["lines"], answer.json()["next"]

    def log(self, job_id: str) -> list[dict[str, Any]]:
        lines, cursor = self.page(job_id)
        while cursor:
            more, cursor = self.page(job_id, cursor)
            lines += more
        return lines

    def logged(self, job_id: str, text: str) -> None:
        """Wait until the job has logged this line."""
        self.until(job_id, lambda _: text in [line["text"] for line in self.log(job_id)])


@contextmanager
def running(state: Path, *options: str, **environment: str) -> Iterator[Service]:
    service = Service(state, *options, **environment)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One open service that the tests of this module share. Whatever they send, it has nothing to say on stderr."""
    with running(tmp_path_factory.mktemp("state")) as service:
        yield service
        assert service.stop() == (0, "", "")


def message(answer: httpx.Response) -> str:
    """The message of a problem; its body holds that and nothing else."""
    body = answer.json()
    assert list(body) == ["message"]
    return str(body["message"])


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody fetched does not."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(listed.strip()) and not listed.startswith("Z")


def sh(script: str) -> tuple[str, str, str]:
    return ("sh", "-c", script)


# Running


def test_a_job_without_a_command_greets_its_name(service: Service) -> None:
    job = service.run(name="Ada")
    assert (job["state"], job["result"], job["detail"], job["name"]) == ("done", "Hello, Ada!", None, "Ada")
    assert [line["text"] for line in service.log(job["id"])][0::7] == [
        "[1/8] connecting to the input table",
        "[8/8] done",
    ]


def test_a_job_that_is_over_says_when_it_was_made_started_and_ended(service: Service) -> None:
    job = service.run("true")
    times = [datetime.fromisoformat(job[field]) for field in ("created", "started", "ended")]
    assert times == sorted(times)
    assert all(time.tzinfo for time in times)


def test_the_name_fail_makes_the_job_fail_with_its_last_words(service: Service) -> None:
    job = service.run(name="fail")
    assert (job["state"], job["detail"], job["result"]) == ("error", "exit code 3: the input table is empty", None)


def test_the_name_sleep_n_sleeps_first(service: Service) -> None:
    job = service.run(name="sleep-1")
    assert (job["state"], job["result"]) == ("done", "Hello, sleep-1!")
    assert service.log(job["id"])[0]["text"] == "slept 0 s"


def test_the_result_is_what_the_command_wrote_to_the_result_file(service: Service) -> None:
    assert service.run(*sh('echo "  forty two " > "$RESULT_FILE"; echo other'))["result"] == "forty two"


def test_without_a_result_file_the_result_is_the_last_line_of_stdout(service: Service) -> None:
    assert service.run(*sh("echo one; echo two; echo; echo three >&2"))["result"] == "two"


def test_a_job_that_gives_nothing_has_no_result(service: Service) -> None:
    job = service.run("true")
    assert (job["state"], job["result"]) == ("done", None)


def test_a_command_that_does_not_exist_is_an_error_that_names_it(service: Service) -> None:
    job = service.run("no-such-command")
    assert (job["state"], job["detail"]) == ("error", "cannot run 'no-such-command': No such file or directory")


def test_a_command_that_no_system_can_run_is_an_error_of_the_job(service: Service) -> None:
    assert service.run("echo", "a\0b")["state"] == "error"
    assert service.run("echo", "x" * 300_000)["detail"] == "cannot run 'echo': Argument list too long"


def test_a_command_killed_by_a_signal_says_which(service: Service) -> None:
    assert service.run(*sh("kill -9 $$"))["detail"] == "killed by SIGKILL"


def test_a_job_is_stopped_at_its_timeout(service: Service) -> None:
    job = service.run("sleep", "30", timeout=0.3)
    assert (job["state"], job["detail"]) == ("error", "timed out after 0.3 s")


def test_a_job_ends_with_its_command_and_takes_along_what_that_left_behind(service: Service) -> None:
    job = service.run(*sh("sleep 30 >/dev/null 2>&1 & echo $!"))
    assert job["state"] == "done"
    assert not is_alive(int(job["result"]))


def test_a_job_whose_supervisor_was_killed_is_an_error(service: Service) -> None:
    job = service.run(*sh("kill -9 $PPID"))
    assert (job["state"], job["detail"]) == ("error", "the job's supervisor died")


def test_a_job_whose_folder_was_removed_is_an_error(service: Service) -> None:
    job_id = service.submit(*sh("echo started; sleep 1"))
    service.logged(job_id, "started")
    shutil.rmtree(service.state / job_id)
    assert service.get(job_id)["detail"] == "the job's folder was removed"
    assert service.http.get("/jobs").status_code == 200
    assert service.http.get(f"/jobs/{job_id}/logs").status_code == 503


# Submitting


def test_the_same_key_again_gives_the_same_job(service: Service) -> None:
    job_id = service.submit("true", key="k1")
    again = service.http.post("/jobs", json={"name": "world", "timeout": 30}, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["id"]) == (200, job_id)
    assert service.submit("true", key="k2") != job_id


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe\x00", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body must be an object"),
        (b"null", "the body must be an object"),
        (b'{"timeout": 1}', "name must be"),
        (b'{"name": 1, "timeout": 1}', "name must be"),
        (b'{"name": "", "timeout": 1}', "name must be"),
        (b'{"name": "x"}', "timeout must be"),
        (b'{"name": "x", "timeout": 0}', "timeout must be"),
        (b'{"name": "x", "timeout": -1}', "timeout must be"),
        (b'{"name": "x", "timeout": "1"}', "timeout must be"),
        (b'{"name": "x", "timeout": true}', "timeout must be"),
        (b'{"name": "x", "timeout": NaN}', "timeout must be"),
        (b'{"name": "x", "timeout": 1e999}', "timeout must be"),
        (b'{"name": "x", "timeout": 1' + b"0" * 1000 + b"}", "timeout must be"),
        (b'{"name": "x", "timeout": 1' + b"0" * 9000 + b"}", "the body is not JSON"),
        (b'{"name": "x", "timeout": 1, "command": []}', "command must be"),
        (b'{"name": "x", "timeout": 1, "command": "true"}', "command must be"),
        (b'{"name": "x", "timeout": 1, "command": ["true", 1]}', "command must be"),
    ],
    ids=lambda value: value[:50] if isinstance(value, bytes) else "",
)
def test_a_bad_body_is_refused_with_what_is_wrong(service: Service, body: bytes, problem: str) -> None:
    answer = service.http.post("/jobs", content=body)
    assert answer.status_code == 400
    assert problem in message(answer)


def test_text_that_is_no_unicode_makes_a_job_like_any_other(service: Service) -> None:
    made = service.http.post("/jobs", content=b'{"name": "\\ud800", "timeout": 5}')
    assert made.status_code == 201
    assert service.ended(made.json()["id"])["state"] == "error"


def test_a_body_that_is_too_large_is_refused(service: Service) -> None:
    answer = service.http.post("/jobs", json={"name": "x" * 2_000_000, "timeout": 1})
    assert (answer.status_code, message(answer)) == (413, "Request Entity Too Large")


def test_a_body_in_a_broken_encoding_is_refused(service: Service) -> None:
    answer = service.http.post("/jobs", content=b"not zipped", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, message(answer)) == (400, "the body is not JSON")


def test_a_web_page_cannot_run_commands(service: Service) -> None:
    answer = service.http.post("/jobs", json={"name": "x", "timeout": 1}, headers={"Origin": "https://evil.test"})
    assert (answer.status_code, message(answer)) == (403, "jobs are not taken from web pages")


# Cancelling


def test_cancel_ends_the_whole_process_group(service: Service) -> None:
    job_id = service.submit(*sh("sleep 60 & echo $!; sleep 60"))
    service.until(job_id, lambda _: bool(service.log(job_id)))
    child = int(service.log(job_id)[0]["text"])
    assert is_alive(child)
    answer = service.http.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["id"]) == (202, job_id)
    job = service.ended(job_id)
    assert (job["state"], job["detail"], job["result"]) == ("cancelled", "cancelled", None)
    assert not is_alive(child)


def test_a_command_that_does_not_heed_sigterm_is_killed_after_two_seconds(service: Service) -> None:
    job_id = service.submit(*sh("trap 'echo no' TERM; echo ready; while :; do sleep 0.1; done"))
    service.logged(job_id, "ready")
    began = time.monotonic()
    service.http.post(f"/jobs/{job_id}/cancel")
    assert service.ended(job_id)["state"] == "cancelled"
    assert 1.9 < time.monotonic() - began < 4
    assert [line["text"] for line in service.log(job_id)].count("no") == 1


def test_a_job_may_be_cancelled_twice_while_it_runs(service: Service) -> None:
    job_id = service.submit("sleep", "60")
    assert [service.http.post(f"/jobs/{job_id}/cancel").status_code for _ in range(2)] == [202, 202]
    assert service.ended(job_id)["state"] == "cancelled"


def test_a_job_that_is_over_cannot_be_cancelled(service: Service) -> None:
    job = service.run("true")
    answer = service.http.post(f"/jobs/{job['id']}/cancel")
    assert (answer.status_code, message(answer)) == (409, f"the job {job['id']!r} is over: it is done")
    assert service.get(job["id"]) == job


# Logs


def test_logs_come_in_pages_with_the_time_of_each_line(service: Service) -> None:
    job = service.run("seq", "12")
    first, cursor = service.page(job["id"])
    second, cursor = service.page(job["id"], cursor)
    third, end = service.page(job["id"], cursor)
    assert [len(first), len(second), len(third), end] == [5, 5, 2, None]
    lines = first + second + third
    assert [line["text"] for line in lines] == [str(number) for number in range(1, 13)]
    times = [line["time"] for line in lines]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time) for time in times)
    assert job["created"] < times[0] <= times[-1] < job["ended"]


def test_a_full_last_page_has_no_next(service: Service) -> None:
    lines, cursor = service.page(service.run("seq", "5")["id"])
    assert (len(lines), cursor) == (5, None)


def test_a_log_is_read_while_the_job_runs(service: Service) -> None:
    job_id = service.submit(*sh("seq 6; sleep 60"))
    service.logged(job_id, "6")
    _, cursor = service.page(job_id)
    assert [line["text"] for line in service.page(job_id, cursor)[0]] == ["6"]
    service.http.post(f"/jobs/{job_id}/cancel")


def test_a_job_that_printed_nothing_has_an_empty_log(service: Service) -> None:
    assert service.page(service.run("true")["id"]) == ([], None)


def test_stdout_and_stderr_are_told_apart(service: Service) -> None:
    job = service.run(*sh("echo a; sleep 0.1; echo b >&2"))
    assert [(line["stream"], line["text"]) for line in service.log(job["id"])] == [("stdout", "a"), ("stderr", "b")]


def test_a_huge_line_is_cut_and_the_next_one_is_whole(service: Service) -> None:
    job = service.run(sys.executable, "-c", "print('x' * 1_000_000); print('after')")
    huge, after = service.log(job["id"])
    assert huge["text"].endswith("x [cut]")
    assert len(huge["text"]) < 10_000
    assert after["text"] == "after"


def test_a_job_that_prints_without_end_fills_no_disk(service: Service) -> None:
    job = service.run(sys.executable, "-c", "for _ in range(3000): print('x' * 7000)\nprint('end')")
    assert (job["state"], job["result"]) == ("done", "end")
    log = (service.state / job["id"] / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["text"] == "[the log is full]"
    assert sum(map(len, log)) <= 16 * 1024 * 1024


def test_output_that_is_no_utf_8_is_logged_all_the_same(service: Service) -> None:
    job = service.run(*sh(r"printf '\377\000ok\r\nlast'"))
    assert [line["text"] for line in service.log(job["id"])] == ["\ufffd\0ok", "last"]


@pytest.mark.parametrize("cursor", ["x", "-1", "1", "3", "999999", "9" * 40, "²", "../job.json", "\0"])
def test_a_cursor_that_was_never_given_is_refused(service: Service, cursor: str) -> None:
    job = service.run("echo", "one")
    answer = service.http.get(f"/jobs/{job['id']}/logs", params={"cursor": cursor})
    assert answer.status_code == 400
    assert "is no cursor of this log" in message(answer)


# Paths


@pytest.mark.parametrize("path", ["/jobs/x", "/jobs/x/logs", "/jobs/lock", "/jobs/%2e%2e%2fetc", "/jobs/a%00b"])
def test_a_job_that_is_not_there_is_not_found(service: Service, path: str) -> None:
    answer = service.http.get(path)
    assert answer.status_code == 404
    assert message(answer).startswith("there is no job '")


def test_cancelling_a_job_that_is_not_there_is_not_found(service: Service) -> None:
    answer = service.http.post("/jobs/x/cancel")
    assert (answer.status_code, message(answer)) == (404, "there is no job 'x'")


def test_what_is_no_path_of_the_service_gets_a_json_answer(service: Service) -> None:
    assert message(service.http.get("/nothing")) == "Not Found"
    answer = service.http.delete("/jobs")
    assert (answer.status_code, message(answer), answer.headers["allow"]) == (
        405,
        "Method Not Allowed",
        "GET,HEAD,POST",
    )


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /jobs/.. HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /jobs/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /jobs/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /jobs/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"GET /jobs HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
    ids=lambda sent: sent[:40],
)
def test_what_is_hardly_http_is_no_error_of_the_service(service: Service, sent: bytes) -> None:
    port = httpx.URL(service.url).port
    assert port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(sent)
        status = connection.recv(4096).split(b" ", 2)[1]
    assert status in {b"200", b"400", b"404"}
    assert service.http.get("/health").status_code == 200


# Users


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two users, and log pages of two lines."""
    users = "alice=alice-key,bob=bob-key"
    with running(tmp_path_factory.mktemp("guarded"), "--page-size", "2", JOBSERVICE_USERS=users) as service:
        yield service


@pytest.fixture
def clients(guarded: Service) -> Iterator[dict[str, httpx.Client]]:
    """A client for each user."""
    with ExitStack() as stack:
        yield {
            user: stack.enter_context(
                httpx.Client(base_url=guarded.url, headers={"Authorization": f"Bearer {user}-key"})
            )
            for user in ("alice", "bob")
        }


def test_users_see_only_their_own_jobs(clients: dict[str, httpx.Client]) -> None:
    alice, bob = clients["alice"], clients["bob"]
    job_id = alice.post("/jobs", json={"name": "hers", "timeout": 5}).json()["id"]
    assert [job["id"] for job in alice.get("/jobs").json()["jobs"]] == [job_id]
    assert bob.get("/jobs").json() == {"jobs": []}
    for answer in (bob.get(f"/jobs/{job_id}"), bob.get(f"/jobs/{job_id}/logs"), bob.post(f"/jobs/{job_id}/cancel")):
        assert (answer.status_code, message(answer)) == (404, f"there is no job {job_id!r}")


def test_the_same_key_of_two_users_makes_two_jobs(clients: dict[str, httpx.Client]) -> None:
    made = [
        client.post("/jobs", json={"name": "x", "timeout": 5}, headers={"Idempotency-Key": "same"})
        for client in clients.values()
    ]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["id"] != made[1].json()["id"]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", "Bearer alice-ke", "alice-key", "Basic alice-key", b"Bearer \xff"],
)
def test_without_a_users_key_nothing_is_told(guarded: Service, authorization: str | bytes | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("/jobs", "/jobs/x", "/nothing"):
        answer = guarded.http.get(path, headers=headers)  # type: ignore[arg-type]
        assert (answer.status_code, message(answer)) == (401, "a valid bearer token is needed")


def test_health_is_for_everyone(guarded: Service) -> None:
    assert guarded.http.get("/health").json() == {"status": "ok"}


def run_as(client: httpx.Client, *command: str) -> dict[str, Any]:
    """Run a job as the client's user to its end."""
    job = client.post("/jobs", json={"name": "x", "timeout": 5, "command": command}).json()
    while job["state"] not in OVER:
        time.sleep(0.02)
        job = client.get(f"/jobs/{job['id']}").json()
    assert isinstance(job, dict)
    return job


def test_a_job_cannot_read_the_users_keys_in_its_environment(clients: dict[str, httpx.Client]) -> None:
    assert run_as(clients["alice"], *sh('echo "<$JOBSERVICE_USERS>"'))["result"] == "<>"


def test_the_page_size_is_set_at_the_start(clients: dict[str, httpx.Client]) -> None:
    job = run_as(clients["alice"], "seq", "3")
    page = clients["alice"].get(f"/jobs/{job['id']}/logs").json()
    assert [line["text"] for line in page["lines"]] == ["1", "2"]
    assert page["next"]


# The process


def test_jobs_go_on_while_the_service_is_down_and_are_known_afterwards(tmp_path: Path) -> None:
    go, keep = tmp_path / "go", tmp_path / "state"
    with running(keep) as before:
        over = before.run("echo", "r1")
        going = before.submit(*sh(f"echo started; until [ -e {go} ]; do sleep 0.02; done; echo r2"), key="k")
        staying = before.submit("sleep", "60")
        before.logged(going, "started")
        before.stop(signal.SIGKILL)
    go.touch()
    with running(keep) as after:
        assert after.get(over["id"]) == over
        assert after.ended(going)["result"] == "r2"
        assert [line["text"] for line in after.log(going)] == ["started", "r2"]
        again = after.http.post("/jobs", json={"name": "x", "timeout": 1}, headers={"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["id"]) == (200, going)
        assert [job["id"] for job in after.http.get("/jobs").json()["jobs"]] == [over["id"], going, staying]
        assert after.get(staying)["state"] == "running"
        after.http.post(f"/jobs/{staying}/cancel")
        assert after.ended(staying)["state"] == "cancelled"


def test_it_says_where_it_listens_and_ends_cleanly_when_interrupted(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert re.fullmatch(r"job service listening on http://127\.0\.0\.1:\d+\n", service.ready_line)
        assert service.http.get("/health").status_code == 200
        assert service.stop(signal.SIGINT) == (0, "", "")


def test_jobs_are_killed_on_exit_if_so_asked(tmp_path: Path) -> None:
    with running(tmp_path, "--kill-jobs-on-exit") as service:
        job_id = service.submit(*sh("echo $$; exec sleep 60"))
        service.until(job_id, lambda _: bool(service.log(job_id)))
        pid = int(service.log(job_id)[0]["text"])
        assert service.stop()[0] == 0
    assert not is_alive(pid)
    job = json.loads((tmp_path / job_id / "job.json").read_text())
    assert (job["state"], job["detail"]) == ("cancelled", "cancelled: the job service was stopped")


def test_a_state_directory_serves_one_service_at_a_time(service: Service) -> None:
    second = subprocess.run(
        [sys.executable, "-m", MODULE, "--port", "0", "--state", str(service.state)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=8,
        check=False,
    )
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == f"jobservice: another job service uses {service.state}\n"


@pytest.mark.parametrize("users", ["alice", "alice=", "=key", "alice=k,alice=l", "alice=k,bob=k"])
def test_users_that_make_no_sense_are_refused(users: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["--users", users])
    assert exit.value.code == 2
    assert "users are given as NAME=KEY,NAME=KEY" in capsys.readouterr().err


def test_what_every_job_starts_imports_the_standard_library_alone() -> None:
    code = (
        "import sys, yaml_connector.demo.program, yaml_connector.demo.runner\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(roots & {'aiohttp', 'asyncio', 'flyte', 'httpx', 'jinja2', 'pydantic', 'yaml'}))"
    )
    imported = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert imported.stdout.split() == []
