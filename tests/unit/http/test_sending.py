"""Sending: how answers are judged, sent again, and what messages say."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from tests.support.fake_api import BROKEN, REFUSED, SILENT, FakeApi, reply, run
from tests.support.sending import Sender
from yaml_connector._clock import Clock
from yaml_connector._expressions.scope import Scope
from yaml_connector._http import client
from yaml_connector.errors import EvaluationError, PermanentError, TransientError
from yaml_connector.testing.clock import START


class TestAnAnswerIsJudgedInThisOrder:
    @pytest.mark.parametrize("status", [200, 404, 503])
    def test_error_true_on_any_status_fails_for_good(self, status: int) -> None:
        api = FakeApi({"GET /": reply(status, json={"failed": True, "message": "why"})})
        with pytest.raises(PermanentError, match=f"GET https://api.test/ answered {status}: why"):
            Sender(api).send(step={"error": "body.failed", "success": ["2xx", 404], "retry_if": "true"})
        assert len(api.sent) == 1

    def test_error_that_is_a_text_is_the_message(self) -> None:
        api = FakeApi({"GET /": {"error_code": 17, "why": "quota"}})
        with pytest.raises(PermanentError, match="answered 200: code 17"):
            Sender(api).send(step={"error": "'code ' ~ body.error_code if body.error_code"})

    @pytest.mark.parametrize("error", ["body.error", "body.n == 1", "body.message", "''", "none", "0"])
    def test_error_that_is_false_null_or_missing_is_none(self, error: str) -> None:
        assert Sender(FakeApi({"GET /": {"n": 2}})).send(step={"error": error}).status == 200

    @pytest.mark.parametrize("status", [503, 500, 429])
    def test_a_status_in_success_is_good_and_never_retried(self, status: int) -> None:
        api = FakeApi({"GET /": status})
        assert Sender(api, retry_if="true").send(step={"success": [status]}).status == status
        assert len(api.sent) == 1

    @pytest.mark.parametrize("status", [200, 409])
    def test_the_steps_own_retry_if_comes_before_success(self, status: int) -> None:
        """Some APIs say `busy` in a 200."""
        busy = reply(status, json={"busy": True, "message": "later"})
        api = FakeApi({"POST /": [busy, reply(status, json={"busy": False})]})
        step = {"retry_if": "body.busy", "success": [status]}
        assert Sender(api).send("POST /", step=step).body == {"busy": False}
        with pytest.raises(TransientError, match=f"answered {status}: later") as raised:
            Sender(FakeApi({"POST /": busy})).send("POST /", step=step)
        assert (raised.value.may_have_been_processed, raised.value.status) == (False, status)

    def test_error_comes_before_retry_if(self) -> None:
        with pytest.raises(PermanentError):
            Sender(FakeApi({"GET /": {"no": 1}})).send(step={"error": "body.no", "retry_if": "body.no"})

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [
            (reply(200, json={"ok": True}), None),
            (reply(409, json={"ok": True}), None),
            (reply(200, json={"ok": False, "message": "why"}), PermanentError),
            (reply(404, json={}), PermanentError),
            (reply(503, json={}), TransientError),
            (reply(200, html="<p>"), TransientError),
            (reply(200), PermanentError),
            (reply(409, html="<p>"), PermanentError),
        ],
    )
    def test_success_may_be_a_condition(self, answer: Any, outcome: type[Exception] | None) -> None:
        sender = Sender(FakeApi({"GET /": answer}))
        if outcome is None:
            assert sender.send(step={"success": "body.ok"}).body == {"ok": True}
        else:
            with pytest.raises(outcome):
                sender.send(step={"success": "body.ok"})

    @pytest.mark.parametrize("field", ["error", "retry_if", "success"])
    @pytest.mark.parametrize(
        "condition", ["body.no", "status == 999 or body.no", "'no' in body", "not body", "steps.own.body.no"]
    )
    def test_a_page_that_is_not_json_is_passing_where_a_condition_reads_the_body(
        self, field: str, condition: str
    ) -> None:
        api = FakeApi({"GET /": reply(200, html="<p>a gateway's page</p>")})
        with pytest.raises(TransientError, match="answered 200 with no JSON"):
            Sender(api).send(step={"name": "own", field: condition})
        assert len(api.sent) == 3

    @pytest.mark.parametrize(
        "condition", ["body is not defined", "text == 'no'", "body.no or text == 'no'", "status == 1"]
    )
    def test_it_is_judged_where_a_condition_reads_the_text_or_asks_for_a_body(self, condition: str) -> None:
        with pytest.raises(PermanentError):
            Sender(FakeApi({"GET /": reply(200, text="no")})).send(step={"error": f"{condition} or status == 200"})

    def test_retry_if_true_is_passing_and_surely_did_not_arrive(self) -> None:
        api = FakeApi({"POST /": reply(400, json={"code": "Throttling"})})
        for fields, connection in (
            ({"retry_if": "body.code == 'Throttling'"}, {}),
            ({}, {"retry_if": "body.code == 'Throttling'"}),
        ):
            api.sent.clear()
            with pytest.raises(TransientError) as raised:
                Sender(api, **connection).send("POST /", step=fields)
            assert (len(api.sent), raised.value.may_have_been_processed, raised.value.status) == (3, False, 400)

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_a_status_of_the_retry_table_is_passing(self, status: int) -> None:
        api = FakeApi({"GET /": [status, status, {"ok": 1}]})
        assert Sender(api).send().body == {"ok": 1}

    def test_the_table_may_be_the_specs_own(self) -> None:
        with pytest.raises(PermanentError):
            Sender(FakeApi({"GET /": 503}), retry={"status_codes": [418]}).send()
        with pytest.raises(TransientError):
            Sender(FakeApi({"GET /": 418}), retry={"status_codes": [418]}).send()

    @pytest.mark.parametrize("status", [100 + 201, 302, 304, 400, 401, 403, 404, 405, 409, 422, 501, 505, 599])
    def test_anything_else_fails_for_good(self, status: int) -> None:
        api = FakeApi({"GET /": status})
        with pytest.raises(PermanentError) as raised:
            Sender(api).send()
        assert (len(api.sent), raised.value.status) == (1, status)

    @pytest.mark.parametrize("failure", [REFUSED, SILENT, BROKEN])
    def test_no_answer_is_passing(self, failure: Exception) -> None:
        api = FakeApi({"POST /": [failure, failure, 200]})
        assert Sender(api).send("POST /").status == 200

    def test_a_success_that_is_not_the_json_that_is_needed_is_passing(self) -> None:
        api = FakeApi({"GET /": [reply(200, html="<p>"), reply(200, content=b'{"a"'), {"a": 1}]})
        assert Sender(api).send(step={"save": {"a": "$.a"}}).body == {"a": 1}

    def test_a_success_of_another_kind_is_fine_where_no_json_is_needed(self) -> None:
        answer = Sender(FakeApi({"GET /": reply(200, html="<p>")})).send(step={"error": "status == 1"})
        assert answer.text == "<p>"

    def test_outside_2xx_a_body_that_is_no_json_is_just_no_body(self) -> None:
        api = FakeApi({"GET /": reply(404, text="gone")})
        assert Sender(api).send(step={"success": [404], "save": {"a": "$.a"}}).status == 404


class TestRetries:
    def test_wait_up_to_twice_as_long_each_time_until_the_most(self) -> None:
        retry = {"max_attempts": 6, "initial_delay": "100ms", "max_delay": "400ms"}
        sender = Sender(FakeApi({"GET /": 503}), retry=retry)
        with pytest.raises(TransientError):
            sender.send()
        assert sender.clock.slept == pytest.approx([0.1, 0.2, 0.4, 0.4, 0.4])

    def test_wait_with_full_jitter(self) -> None:
        waits = [Clock().jitter(0.4) for _ in range(300)]
        assert 0 <= min(waits) < 0.08
        assert 0.32 < max(waits) <= 0.4

    @pytest.mark.parametrize("value", ["3", formatdate(START + 3, usegmt=True)])
    def test_wait_as_long_as_the_api_says_in_both_forms(self, value: str) -> None:
        sender = Sender(FakeApi({"GET /": [reply(503, headers={"Retry-After": value}), 200]}))
        sender.send()
        assert sender.clock.slept == [3.0]

    def test_do_not_start_if_the_wait_ends_past_the_deadline(self) -> None:
        sender = Sender(FakeApi({"GET /": [reply(503, headers={"Retry-After": "9"}), 200]}))
        with pytest.raises(TransientError) as raised:
            sender.send()
        assert (sender.clock.slept, raised.value.retry_after) == ([], 9.0)

    def test_send_no_attempt_past_the_deadline_and_give_it_only_the_time_that_is_left(self) -> None:
        timeouts: list[float] = []

        def slow(request: httpx.Request) -> Any:
            timeouts.append(request.extensions["timeout"]["read"])
            sender.clock.now += timeouts[-1]
            return SILENT

        sender = Sender(FakeApi({"GET /": slow}), deadline="9s", timeout="5s", retry={"initial_delay": "0s"})
        with pytest.raises(TransientError, match="gave no complete answer"):
            sender.send()
        assert timeouts == [5.0, 4.0]

    def test_are_as_many_as_the_spec_says(self) -> None:
        for attempts in (1, 2, 5):
            api = FakeApi({"GET /": 503})
            with pytest.raises(TransientError):
                Sender(api, retry={"max_attempts": attempts, "initial_delay": "1ms"}).send()
            assert len(api.sent) == attempts

    def test_send_the_same_request(self) -> None:
        api = FakeApi({"POST /": [503, 200]})
        Sender(api).send(
            {"method": "POST", "path": "/", "headers": {"Key": "${{ uuid5(now()) }}"}, "json": {"t": "${{ now() }}"}}
        )
        assert api.sent[0].headers["key"] == api.sent[1].headers["key"]
        assert api.sent[0].content == api.sent[1].content

    def test_ask_whether_a_doubtful_request_is_sent_again_but_never_for_a_get(self) -> None:
        from yaml_connector._http.request_template import compile_request
        from yaml_connector._http.response_policy import SuccessCriteria
        from yaml_connector._spec.requests import Request

        asked: list[str] = []

        class Never(client.Resend):
            def wanted(self, failure: TransientError) -> bool:
                asked.append(str(failure))
                return not failure.may_have_been_processed

        for method, count in (("GET", 3), ("HEAD", 3), ("POST", 1), ("PUT", 1), ("DELETE", 1)):
            api = FakeApi({f"{method} /": SILENT})
            sender = Sender(api)

            async def call(sender: Sender = sender, method: str = method) -> None:
                plan = compile_request(Request.model_validate(f"{method} /"))
                await client.send(sender.session(), plan, Scope(), SuccessCriteria(), resend=Never())

            with pytest.raises(TransientError):
                run(call(), sender.clock)
            assert len(api.sent) == count
        assert len(asked) == 9


class TestTheMessage:
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"message": "a", "error": "b"}, "a"),
            ({"error": {"message": "a"}, "detail": "b"}, "a"),
            ({"error": "a", "detail": "b"}, "a"),
            ({"detail": "a"}, "a"),
            ({"errors": [{"message": "a"}]}, "a"),
            ({"message": {"x": 1}, "detail": "a"}, "a"),
            ({"other": 1}, '{"other":1}'),
            ({"message": ""}, '{"message":""}'),
            (["a"], '["a"]'),
        ],
    )
    def test_is_the_apis_own_from_the_usual_places(self, body: Any, message: str) -> None:
        with pytest.raises(PermanentError) as raised:
            Sender(FakeApi({"GET /": reply(400, json=body)})).send()
        assert str(raised.value) == f"GET https://api.test/ answered 400: {message}"

    def test_is_found_where_the_spec_says(self) -> None:
        api = FakeApi({"GET /": reply(400, json={"fault": {"text": "a"}, "message": "b"})})
        for path in (
            "$.fault.text",
            "${{ body.fault.text }}",
            "${{ headers['x-none'] | default(body.fault.text, true) }}",
        ):
            with pytest.raises(PermanentError, match=r"answered 400: a$"):
                Sender(api, error_message=path).send()

    def test_is_500_characters_of_the_text_at_most(self) -> None:
        with pytest.raises(PermanentError) as raised:
            Sender(FakeApi({"GET /": reply(400, text="one\n two  " + "x" * 5000)})).send()
        assert "answered 400: one two xxx" in str(raised.value)
        assert len(str(raised.value)) < 600

    def test_of_an_empty_answer_is_its_status(self) -> None:
        with pytest.raises(PermanentError, match=r"GET https://api\.test/ answered 400$"):
            Sender(FakeApi({"GET /": 400})).send()

    def test_holds_no_secret_of_the_url_or_the_answer(self) -> None:
        api = FakeApi({"GET /": reply(400, text="bad token planted-secret and Basic cGxhbnRlZC1zZWNyZXQ=")})
        for failure in (
            reply(400, text="bad planted-secret, cGxhbnRlZC1zZWNyZXQ="),
            SILENT,
            reply(503, text="planted-secret"),
        ):
            api.routes["GET /"] = [failure]
            with pytest.raises((PermanentError, TransientError)) as raised:
                Sender(api, secrets={"k": "planted-secret"}).send({"path": "/", "query": {"key": "${{ secrets.k }}"}})
            assert "GET https://api.test/?key=***" in str(raised.value)
            assert "planted" not in str(raised.value)
            assert "cGxhbnRl" not in str(raised.value)


def test_a_rate_limit_spreads_requests_and_raises_where_there_is_no_room() -> None:
    api = FakeApi({"GET /": 200})
    sender = Sender(api, rate_limit={"requests": 2, "per": "4s"})

    async def burst() -> list[Any]:
        return await asyncio.gather(*(sender.send_now() for _ in range(2)), return_exceptions=True)

    assert len(run(burst(), sender.clock)) == 2
    sender.send()
    assert sender.clock.slept == [4.0]
    sender.send()
    sender.send(deadline=5)
    sender.send()
    with pytest.raises(TransientError, match="the rate limit"):
        sender.send(deadline=1)


def test_a_value_that_cannot_be_made_is_no_call() -> None:
    api = FakeApi()
    with pytest.raises(EvaluationError):
        Sender(api).send("GET /${{ config.nope }}")
    assert not api.sent


class TestAnAnswer:
    def test_is_json_whatever_its_content_type_says(self) -> None:
        assert Sender(FakeApi({"GET /": reply(200, text='{"a": [1, 2.0, "3"]}')})).send().body == {"a": [1, 2.0, "3"]}

    def test_has_text_in_its_charset(self) -> None:
        for kind, content in (
            ("text/plain; charset=iso-8859-1", "ü".encode("latin-1")),
            ('text/plain; charset="UTF-8"', "ü".encode()),
            ("text/plain; charset=nonsense", "ü".encode()),
            ("text/plain", "ü".encode()),
            ("text/plain", b"\xef\xbb\xbf" + "ü".encode()),
            ("text/plain; charset=UTF8", b"\xef\xbb\xbf" + "ü".encode()),
            ("text/plain; charset=utf-16", "ü".encode("utf-16")),
            *((f"text/plain; charset={name}", "ü".encode()) for name in ("undefined", "idna", "rot13", "hex")),
        ):
            assert (
                Sender(FakeApi({"GET /": reply(200, content=content, headers={"Content-Type": kind})})).send().text
                == "ü"
            )

    def test_is_not_decoded_by_a_codec_that_takes_quadratic_time(self) -> None:
        content = b"a-" + b"b" * 1_000_000  # as punycode it takes minutes
        headers = {"Content-Type": "text/plain; charset=punycode"}
        assert Sender(FakeApi({"GET /": reply(200, content=content, headers=headers)})).send().text == content.decode()

    def test_keeps_numbers_exactly(self) -> None:
        body = Sender(FakeApi({"GET /": reply(200, content=b'{"a": 9007199254740993, "b": 3.0, "c": 3}')})).send().body
        assert [repr(value) for value in body.values()] == ["9007199254740993", "3.0", "3"]

    @pytest.mark.parametrize("content", [b"[" * 100_000, b"9" * 5000, b"\xff\xff", b"", b"\xef\xbb\xbf{"])
    def test_that_cannot_be_parsed_has_no_body(self, content: bytes) -> None:
        assert not Sender(FakeApi({"GET /": reply(200, content=content)})).send().is_json

    def test_longer_than_the_most_is_passing(self) -> None:
        api = FakeApi({"GET /": reply(200, content=b"x" * 2000)})
        with pytest.raises(TransientError, match=r"more than 1 KiB \(max_response\)"):
            Sender(api, max_response="1KiB").send()
