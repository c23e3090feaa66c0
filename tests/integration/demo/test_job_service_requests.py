"""What the demo's job service takes and refuses."""

from __future__ import annotations

import socket

import httpx
import pytest

from tests.integration.demo.job_service import Service, message


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
