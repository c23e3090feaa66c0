"""The recorded exchanges as a service: order, repeats, faults, answers, time, and what is said when it differs."""

from __future__ import annotations

import asyncio
import base64
import gzip
from typing import Any

import httpx
import pytest

from tests.support.contract_folder import CREATE, DEFAULTS, Folder, differing, get, state, the_failure
from yaml_connector.testing.clock import FakeClock
from yaml_connector.testing.recorded import RecordedExchange
from yaml_connector.testing.replay import ReplayTransport


def exchange(path: str = "/jobs/7", response: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"request": {"path": path}, "response": response or state("running"), **more}


def test_a_request_that_differs_fails_with_each_field(folder: Folder) -> None:
    create = {
        "create": {"exchanges": [{"request": {"method": "PUT", "url": "https://batch.test/job", "json": {"a": 1}}}]}
    }
    result = folder.run(create)
    assert differing(result) == {
        "method": ("PUT", "POST"),
        "url": ("https://batch.test/job", "https://batch.test/jobs"),
        "json.a": (1, result.failures[0].differences[2].found),
        "json.name": (result.failures[0].differences[3].expected, "hello"),
        "json.timeout": (result.failures[0].differences[4].expected, 60),
    }
    failure = the_failure(result)
    assert failure.call == "call 1 (create)"
    assert failure.exchange == 1
    assert "POST https://batch.test/jobs" in failure.what


def test_a_request_that_is_not_recorded_fails(folder: Folder) -> None:
    failure = the_failure(folder.run(CREATE, {"get": {"exchanges": [], "expect": {"phase": "RUNNING"}}}))
    assert failure.what == "sent and not recorded: GET https://batch.test/jobs/7"
    assert failure.exchange is None


def test_a_request_that_is_recorded_and_not_sent_fails(folder: Folder) -> None:
    call = get(state("running"), expect={"phase": "RUNNING"})
    call["get"]["exchanges"].append(exchange("/jobs/7/more"))
    failure = the_failure(folder.run(CREATE, call))
    assert failure.what == "recorded and not sent: GET /jobs/7/more"
    assert failure.exchange == 2


def test_a_repeat_that_is_not_used_up_fails(folder: Folder) -> None:
    failure = the_failure(folder.run(CREATE, get(state("running"), repeat=2)))
    assert failure.what == "recorded and not sent: GET https://batch.test/jobs/7; sent 1 of 2 times"


def test_all_that_was_not_sent_is_counted(folder: Folder) -> None:
    call = {"get": {"exchanges": [exchange(), exchange("/a"), exchange("/b"), exchange("/c")]}}
    assert the_failure(folder.run(CREATE, call)).what == "recorded and not sent: GET /a, nor the 2 after it"


def test_a_request_out_of_order_is_told_as_that(folder: Folder) -> None:
    call = {"get": {"exchanges": [exchange("/first"), exchange()]}}
    failure = the_failure(folder.run(CREATE, call))
    assert failure.what == (
        "out of order: GET https://batch.test/jobs/7 was sent, which is exchange 2; GET /first comes first"
    )
    assert failure.differences == ()  # it matches another exchange, so its fields are right


def test_a_repeat_answers_so_many_times(folder: Folder) -> None:
    assert folder.run(CREATE, get({"status": 503}, repeat=3, expect={"phase": "RUNNING", "message": "/503/"})).passed
    failure = the_failure(folder.run(CREATE, get({"status": 503}, repeat=2)))
    assert failure.what.startswith("sent and not recorded")


def test_a_mismatch_counts_whatever_the_connector_makes_of_it(folder: Folder) -> None:
    """A get swallows a refused connection: the job is RUNNING, unreadable. The test must fail all the same."""
    call = {"get": {"exchanges": [exchange("/other")], "expect": {"phase": "RUNNING", "message": "/unreadable/"}}}
    failure = the_failure(folder.run(CREATE, call))
    assert failure.differences[0].field == "path"
    assert failure.outcome is not None
    assert failure.outcome.startswith("returned RUNNING: unreadable")


def test_a_mismatch_comes_before_what_is_expected(folder: Folder) -> None:
    call = {"get": {"exchanges": [exchange("/other")], "expect": {"phase": "SUCCEEDED"}}}
    assert [item.field for item in the_failure(folder.run(CREATE, call)).differences] == ["path"]


def test_the_test_ends_at_the_first_call_that_fails(folder: Folder) -> None:
    assert the_failure(folder.run(CREATE, get(expect={"phase": "FAILED"}), get(expect={"phase": "FAILED"}))).call == (
        "call 2 (get)"
    )


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"fault": "refused"}, "/cannot be connected to: connection refused/"),
        ({"fault": "reset"}, "/broke off: connection reset/"),
        ({"fault": "not_http"}, "/broke off: what came is not HTTP/"),
        ({"fault": "truncated", "json": {"state": "done"}}, "/broke off: .* before the end of the body/"),
        ({"fault": "truncated"}, "/broke off: .* before the end of the body/"),
        ({"headers": {"X": "y" * 80_000}, "json": {"state": "done"}}, "/broke off: the head is too long/"),
        ({"headers": {"X": ["y"] * 1200}, "json": {"state": "done"}}, "/broke off: the head has 120. fields/"),
        ({"status": 204, "json": {"state": "done"}}, "/answered 204 with nothing/"),
        ({"status": 200}, "/answered 200 with nothing/"),
        ({"text": "<html>"}, "/answered 200 with no JSON .text.plain; charset=utf-8/"),
        ({"status": 502, "json": {"message": "bad gateway"}}, "/answered 502: bad gateway/"),
    ],
)
def test_a_fault_and_an_answer_look_as_on_the_wire(folder: Folder, response: dict[str, Any], message: str) -> None:
    assert folder.run(CREATE, get(response, repeat=3, expect={"phase": "RUNNING", "message": message})).passed


def test_a_timeout_takes_the_time_of_the_attempt(folder: Folder) -> None:
    """5 s and then the 4 s that are left of the deadline's 9; there is no third attempt."""
    message = "/^unreadable since 2026-01-01T00:00:09Z.*gave no complete answer within 4 s/"
    assert folder.run(CREATE, get({"fault": "timeout"}, repeat=2, expect={"message": message})).passed


def test_an_answer_that_takes_longer_than_the_attempt_is_a_timeout(folder: Folder) -> None:
    message = "/since 2026-01-01T00:00:09Z.*within 4 s/"
    assert folder.run(CREATE, get({"after": "6s", **state("done")}, repeat=2, expect={"message": message})).passed


def test_an_answer_takes_its_time(folder: Folder) -> None:
    assert folder.run(
        CREATE,
        get({"after": "5s", **state("running")}, expect={"phase": "RUNNING"}),
        get({"status": 500}, repeat=3, expect={"message": "/since 2026-01-01T00:00:05Z/"}),
    ).passed


def test_a_fault_may_take_its_time_too(folder: Folder) -> None:
    call = get({"fault": "reset", "after": "1s"}, repeat=3, expect={"message": "/since 2026-01-01T00:00:03Z/"})
    assert folder.run(CREATE, call).passed


def test_waiting_takes_no_time(folder: Folder) -> None:
    """Two waits of 4 s each, and the deadline of 9 s has not come nearer."""
    answer = {"status": 503, "headers": {"Retry-After": "4"}}
    assert folder.run(CREATE, get(answer, repeat=3, expect={"message": "/since 2026-01-01T00:00:00Z/"})).passed


def test_json_text_and_bytes_come_as_recorded(folder: Folder) -> None:
    folder.change_spec("message: $.detail", "message: ${{ headers['content-type'] }} ${{ text }}")
    for response, text in (
        ({"json": {"state": "error", "é": 1}}, 'application/json {"state": "error", "é": 1}'),
        ({"text": '{"state": "error"}'}, 'text/plain; charset=utf-8 {"state": "error"}'),
        (
            {"headers": {"content-type": "application/x"}, "base64": base64.b64encode(b'{"state":"error"}').decode()},
            'application/x {"state":"error"}',
        ),
        ({"headers": {"Content-Type": "a/b; charset=utf-8"}, "json": {"state": "error"}}, "a/b"),
    ):
        result = folder.run(CREATE, get(response, expect={"phase": "FAILED", "message": text}))
        if text == "a/b":
            assert differing(result)["message"][1] == 'a/b; charset=utf-8 {"state": "error"}'
        else:
            assert result.passed, result


def test_a_text_is_sent_in_the_charset_that_the_response_names(folder: Folder) -> None:
    folder.change_spec("message: $.detail", "message: ${{ body.detail }} ${{ size }}")
    for charset, size in (("iso-8859-1", 38), ("utf-16", 78), ("utf-8", 39), ("no-such", 39)):
        text = '{"state": "error", "detail": "Zürich"}'
        response = {"headers": {"Content-Type": f"application/json; charset={charset}"}, "text": text}
        assert folder.run(CREATE, get(response, expect={"message": f"Zürich {size}"})).passed, charset


def test_a_request_has_the_headers_that_are_added_on_the_wire(folder: Folder) -> None:
    cancel = {"method": "POST", "path": "/jobs/7/cancel"}
    sent = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "/aiohttp/", "Content-Length": "0"}
    assert folder.run(CREATE, {"delete": {"exchanges": [{"request": {**cancel, "headers": sent}}]}}).passed
    absent = dict.fromkeys((*sent, "Content-Type"))
    result = folder.run(CREATE, {"delete": {"exchanges": [{"request": {**cancel, "headers": absent}}]}})
    assert set(differing(result)) == {f"headers.{name}" for name in sent}


def test_cookies_are_set_beside_other_headers(folder: Folder) -> None:
    folder.change_spec("message: $.detail", "message: ${{ cookies.a }} ${{ cookies.b }} ${{ cookies.c }}")
    response = {
        "headers": {"Set-Cookie": "a=1"},
        "cookies": {"b": "two; Path=/", "c": None},
        "json": {"state": "error"},
    }
    assert folder.run(CREATE, get(response, expect={"message": "1 two "})).passed


def test_a_compressed_body_is_decompressed_as_on_the_wire(folder: Folder) -> None:
    body = base64.b64encode(gzip.compress(b'{"state": "done", "result": "r"}')).decode()
    response = {"headers": {"Content-Encoding": "gzip"}, "base64": body}
    assert folder.run(CREATE, get(response, expect={"phase": "SUCCEEDED", "outputs": {"result": "r"}})).passed


def test_headers_come_in_any_number_and_type() -> None:
    recorded = {
        "request": "GET /x",
        "response": {"headers": {"X-Number": 3, "X-Empty": None, "Set-Cookie": ["a=1", "b=2"], "X-Text": "Zürich"}},
    }
    book = ReplayTransport(FakeClock())
    book.open([RecordedExchange.model_validate(recorded)])
    request = httpx.Request("GET", "https://batch.test/x", extensions={"timeout": {"read": 5}})
    headers = asyncio.run(book.handle_async_request(request)).headers
    assert headers["x-number"] == "3"
    assert headers["x-empty"] == ""
    assert headers["x-text"] == "Zürich"
    assert headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_repeat_that_differs_says_its_number() -> None:
    book = ReplayTransport(FakeClock())
    book.open([RecordedExchange.model_validate(exchange("/a", repeat=3))])

    async def send(path: str) -> None:
        await book.handle_async_request(
            httpx.Request("GET", f"https://batch.test{path}", extensions={"timeout": {"read": 5}})
        )

    asyncio.run(send("/a"))
    with pytest.raises(httpx.ConnectError):
        asyncio.run(send("/b"))
    mismatch = book.close()
    assert mismatch is not None
    assert mismatch.what == "what was sent is not what was recorded: GET https://batch.test/b (number 2 of 3)"


def test_a_request_with_a_body_that_is_not_recorded_is_shown_with_it(folder: Folder) -> None:
    failure = the_failure(folder.run({"create": {"exchanges": []}}))
    assert failure.what == (
        'sent and not recorded: POST https://batch.test/jobs with \'{"name":"hello","timeout":60}\''
    )


def test_secrets_are_masked_in_what_differs(folder: Folder) -> None:
    call = {
        "create": {
            "exchanges": [
                {"request": {"method": "POST", "path": "/jobs", "headers": {"Authorization": "Token s3cr3t"}}},
            ]
        }
    }
    result = folder.run(call)
    assert differing(result) == {"headers.Authorization": ("Token ***", "Bearer ***")}
    assert "s3cr3t" not in folder.text({"defaults": DEFAULTS, "tests": [{"name": "one", "calls": [call]}]})


def test_a_secret_of_the_connectors_environment_is_masked_too(folder: Folder) -> None:
    call = {
        "create": {"exchanges": [{"request": {"method": "POST", "path": "/jobs", "headers": {"Authorization": "x"}}}]}
    }
    result = folder.run(call, secrets={"api_key": None}, env={"BATCH_API_KEY": "fromenv"})
    assert differing(result) == {"headers.Authorization": ("x", "Bearer ***")}


def test_the_place_is_that_of_the_exchange(folder: Folder) -> None:
    text = folder.text(
        """\
        defaults:
          inputs: {name: a}
          secrets: {api_key: s3cr3t}
        tests:
          - name: one
            calls:
              - create:
                  exchanges:
                    - request: {method: POST, path: /jobz}
        """
    )
    assert text.splitlines()[:6] == [
        "batch_job.test.yaml",
        "  ✗ one",
        "      batch_job.test.yaml:9:15: call 1 (create): exchange 1: "
        "what was sent is not what was recorded: POST http://127.0.0.1:8900/jobs",
        "        path",
        '          expected "/jobz"',
        '          found    "/jobs"',
    ]


def test_a_header_with_umlauts_is_sent_and_compared(folder: Folder) -> None:
    folder.change_spec("headers: {Idempotency-Key:", 'headers: {X-Name: "${{ inputs.name }}", Idempotency-Key:')
    request = {"method": "POST", "path": "/jobs", "headers": {"X-Name": "Zürich"}}
    call = {"create": {"exchanges": [{"request": request, "response": {"json": {"id": 7}}}]}}
    assert folder.run(call, inputs={"name": "Zürich"}).passed
    assert differing(folder.run(call, inputs={"name": "Basel"})) == {"headers.X-Name": ("Zürich", "Basel")}
