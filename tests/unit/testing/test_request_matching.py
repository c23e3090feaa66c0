"""Which request is the recorded one: every rule, with a request that fits it and one that does not."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from yaml_connector.testing.compare import NOTHING
from yaml_connector.testing.matching import SentRequest, request_differences
from yaml_connector.testing.recorded import RecordedRequest

URL = "https://api.test/jobs/7"


def fields(recorded: dict[str, Any] | str, **sent: Any) -> list[str]:
    """The fields in which a request that was sent differs from a recorded one."""
    return list(found(recorded, **sent))


def found(recorded: dict[str, Any] | str, **sent: Any) -> dict[str, tuple[Any, Any]]:
    request = SentRequest(
        sent.get("method", "GET"),
        sent.get("url", URL),
        httpx.Headers(sent.get("headers", {})),
        sent.get("content", b""),
    )
    differences = request_differences(RecordedRequest.model_validate(recorded), request)
    return {item.field: (item.expected, item.found) for item in differences}


def test_the_method_is_get_unless_another_is_named() -> None:
    assert fields({"url": URL}) == []
    assert found({"url": URL}, method="POST") == {"method": ("GET", "POST")}
    assert fields({"url": URL, "method": "post"}, method="POST") == []


def test_the_short_form_is_a_method_and_a_url_or_a_path() -> None:
    assert fields(f"DELETE {URL}", method="DELETE") == []
    assert fields("DELETE /jobs/7", method="DELETE") == []
    assert fields("DELETE /jobs/8", method="DELETE") == ["path"]


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        ("https://api.test/jobs/a%3Ab", "https://api.test/jobs/a:b"),
        ("https://api.test/jobs/a:b", "https://api.test/jobs/a%3Ab"),
        ("https://api.test/jobs/a%20b", "https://api.test/jobs/a%20b"),
        ("https://API.test:443/jobs", "https://api.test/jobs"),
        ("http://api.test:80/jobs", "http://api.test/jobs"),
        ("https://api.test", "https://api.test/"),
    ],
)
def test_two_spellings_of_one_url_are_the_same(recorded: str, sent: str) -> None:
    assert fields({"url": recorded}, url=sent) == []


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        ("https://api.test/jobs/a%2Fb", "https://api.test/jobs/a/b"),
        ("https://api.test/jobs", "http://api.test/jobs"),
        ("https://api.test/jobs", "https://api.test:8443/jobs"),
        ("https://api.test/jobs", "https://evil.test/jobs"),
        ("https://api.test/jobs", "https://api.test/jobs/"),
        ("https://api.test/jobs", "https://api.test/Jobs"),
    ],
)
def test_another_url_differs(recorded: str, sent: str) -> None:
    assert found({"url": recorded}, url=sent) == {"url": (recorded, sent)}


def test_a_path_is_compared_alone_whatever_the_host() -> None:
    assert fields({"path": "/jobs/7"}) == []
    assert fields({"path": "/jobs/7"}, url="http://other.test/jobs/7?a=1") == []
    assert found({"path": "/jobs/8"}) == {"path": ("/jobs/8", "/jobs/7")}
    assert fields({"path": "/jobs/a%2Fb"}, url="https://api.test/jobs/a/b") == ["path"]


def test_a_path_between_slashes_is_no_regex() -> None:
    assert fields({"path": "/api/jobs/"}, url="https://api.test/api/jobs/") == []
    assert fields({"path": "/jobs/"}, url="https://api.test/api/jobs/7") == ["path"]
    assert found({"path": "/jobs.7/"}) == {"path": ("/jobs.7/", "/jobs/7")}


def test_a_url_is_a_whole_one() -> None:
    with pytest.raises(ValidationError, match="is not a whole URL"):
        RecordedRequest.model_validate({"url": "/jobs/7"})


BOUNDARY = "multipart/form-data; boundary=b"
SENT_PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="kind"\r\n\r\nbatch\r\n'
    b'--b\r\nContent-Disposition: form-data; name="tag"\r\n\r\na\r\n'
    b'--b\r\nContent-Disposition: form-data; name="tag"\r\n\r\n/b/\r\n'
    b'--b\r\nContent-Disposition: form-data; name="a %22"; filename="in.json"\r\nContent-Type: application/json\r\n'
    b'\r\n{"n": [1, 2.0]}\r\n--b--\r\n'
)


@pytest.mark.parametrize(
    ("changed", "differ"),
    [
        ({}, []),
        ({"kind": "/^b.*h$/"}, []),
        ({"kind": {"content": "batch", "filename": None, "content_type": None}}, []),
        ({"kind": {"filename": None}}, []),
        ({'a "': {"filename": "in.json", "content_type": "application/json", "content": {"n": [1, 2]}}}, []),
        ({'a "': {"content": '{"n": [1, 2.0]}'}}, []),
        ({"kind": "other"}, ["multipart.kind.content"]),
        ({"kind": {"content": "batch", "filename": "x"}}, ["multipart.kind.filename"]),
        ({'a "': {"filename": None}}, ["multipart['a \"'].filename"]),
        ({'a "': {"content": {"n": [1, 3]}}}, ["multipart['a \"'].content.n[1]"]),
        ({"kind": {"content": {"n": 1}}}, ["multipart.kind.content"]),
        ({"tag": "a"}, ["multipart.tag[1]"]),
        ({"tag": ["a", "/b/", "c"]}, ["multipart.tag[2]"]),
        ({"kind": None}, ["multipart.kind"]),
        ({"kind": []}, ["multipart.kind"]),
        ({"missing": "x"}, ["multipart.missing"]),
    ],
)
def test_the_parts_of_a_multipart_body_are_compared_by_name(changed: dict[str, Any], differ: list[str]) -> None:
    recorded = {"kind": "batch", "tag": ["a", {"content": "/b/"}], 'a "': {}, **changed}
    sent = {"headers": {"Content-Type": BOUNDARY}, "content": SENT_PARTS}
    assert fields({"url": URL, "multipart": recorded}, **sent) == differ


def test_a_body_that_is_not_multipart_differs_as_a_whole() -> None:
    assert fields({"url": URL, "multipart": {"a": "b"}}, headers={"Content-Type": "text/plain"}, content=b"x") == [
        "multipart"
    ]


def test_a_query_that_is_not_named_passes() -> None:
    assert fields({"url": URL}, url=f"{URL}?page=2") == []


@pytest.mark.parametrize("recorded", [{"url": f"{URL}?page=2"}, {"url": URL, "query": {"page": "2"}}])
def test_a_parameter_that_is_named_must_be_there_with_its_value(recorded: dict[str, Any]) -> None:
    assert fields(recorded, url=f"{URL}?limit=10&page=2") == []
    assert found(recorded, url=f"{URL}?page=3") == {"query.page": ("2", "3")}
    assert found(recorded, url=URL) == {"query.page": ("2", NOTHING)}


def test_parameters_are_compared_decoded() -> None:
    assert fields({"url": f"{URL}?q=a%20b%2Bc"}, url=f"{URL}?q=a+b%2Bc") == []
    assert fields({"url": URL, "query": {"q": "a b+c&d"}}, url=f"{URL}?q=a%20b%2Bc%26d") == []


def test_a_path_may_have_a_query_too() -> None:
    assert fields({"path": "/jobs/7?page=2"}, url=f"{URL}?page=2") == []
    assert fields({"path": "/jobs/7?page=2"}, url=f"{URL}?page=3") == ["query.page"]


def test_a_list_of_values_means_all_of_them() -> None:
    recorded = {"url": URL, "query": {"id": ["a", "b"]}}
    assert fields(recorded, url=f"{URL}?id=a&id=b") == []
    assert found(recorded, url=f"{URL}?id=a") == {"query.id[1]": ("b", NOTHING)}
    assert found({"url": URL, "query": {"id": "a"}}, url=f"{URL}?id=a&id=b") == {"query.id[1]": (NOTHING, "b")}


def test_a_number_or_a_boolean_of_the_query_is_its_text() -> None:
    recorded = {"url": URL, "query": {"limit": 10, "deep": True}}
    assert fields(recorded, url=f"{URL}?limit=10&deep=true") == []
    assert fields(recorded, url=f"{URL}?limit=11&deep=True") == ["query.limit", "query.deep"]


def test_a_parameter_or_header_that_is_null_must_not_be_there() -> None:
    assert fields({"url": URL, "query": {"page": None}, "headers": {"Authorization": None}}) == []
    assert found({"url": URL, "query": {"page": None}}, url=f"{URL}?page=") == {"query.page": (NOTHING, "")}
    recorded = {"url": URL, "headers": {"Authorization": None}}
    assert fields(recorded, headers={"authorization": "Bearer x"}) == ["headers.Authorization"]


def test_a_header_that_is_named_must_be_there_in_any_case() -> None:
    recorded = {"url": URL, "headers": {"X-Key": "a", "X-Count": 3}}
    assert fields(recorded, headers={"x-key": "a", "X-COUNT": "3", "other": "b"}) == []
    assert found(recorded, headers={"x-key": "b"}) == {"headers.X-Key": ("a", "b"), "headers.X-Count": ("3", NOTHING)}


def test_a_header_and_a_parameter_may_be_a_regex() -> None:
    recorded = {"url": URL, "headers": {"Authorization": "/^Bearer ey/"}, "query": {"t": "/^\\d+$/"}}
    assert fields(recorded, headers={"authorization": "Bearer eyJ"}, url=f"{URL}?t=12") == []
    assert fields(recorded, headers={"authorization": "Basic eyJ"}, url=f"{URL}?t=x") == [
        "query.t",
        "headers.Authorization",
    ]


def test_a_body_that_is_not_named_passes() -> None:
    assert fields({"url": URL}, content=b'{"a": 1}') == []


def test_json_is_compared_exactly_and_each_place_that_differs_is_named() -> None:
    recorded = {"url": URL, "json": {"name": "a", "list": [1, 2], "deep": {"x": None, "y z": True}}}
    assert fields(recorded, content=b'{"deep":{"y z":true,"x":null},"list":[1,2],"name":"a"}') == []
    sent = b'{"name":"b","list":[1,2,3],"deep":{"y z":1},"more":0}'
    assert found(recorded, content=sent) == {
        "json.name": ("a", "b"),
        "json.list[2]": (NOTHING, 3),
        "json.deep.x": (None, NOTHING),
        "json.deep['y z']": (True, 1),
        "json.more": (NOTHING, 0),
    }


def test_numbers_of_json_compare_by_value_and_never_as_text() -> None:
    recorded = {"url": URL, "json": {"n": 1, "big": 9007199254740993}}
    assert fields(recorded, content=b'{"n": 1.0, "big": 9007199254740993}') == []
    assert fields(recorded, content=b'{"n": "1", "big": 9007199254740992}') == ["json.n", "json.big"]


def test_a_text_deep_inside_json_may_be_a_regex() -> None:
    recorded = {"url": URL, "json": {"items": [{"id": "/^run-\\d+$/"}]}}
    assert fields(recorded, content=b'{"items": [{"id": "run-12"}]}') == []
    assert fields(recorded, content=b'{"items": [{"id": "run-x"}]}') == ["json.items[0].id"]


def test_json_that_is_null_is_not_the_same_as_no_body() -> None:
    assert fields({"url": URL, "json": None}, content=b"null") == []
    assert found({"url": URL, "json": None}) == {"json": (None, NOTHING)}


def test_a_body_that_is_no_json_is_shown_as_text() -> None:
    assert found({"url": URL, "json": {"a": 1}}, content=b"a=1") == {"json": ({"a": 1}, "a=1")}


def test_a_form_is_compared_exactly_and_decoded() -> None:
    recorded = {"url": URL, "form": {"grant": "a b", "n": 1, "list": ["x", "y"]}}
    assert fields(recorded, content=b"grant=a+b&list=x&list=y&n=1") == []
    assert found(recorded, content=b"grant=a%2Bb&list=x&n=1&more=") == {
        "form.grant": ("a b", "a+b"),
        "form.list[1]": ("y", NOTHING),
        "form.more": (NOTHING, ""),
    }


def test_a_body_that_is_no_form_is_shown_as_text() -> None:
    assert found({"url": URL, "form": {"a": "1"}}, content=b"\xff\xfe")["form"][0] == {"a": "1"}


def test_text_is_compared_exactly() -> None:
    assert fields({"url": URL, "text": "SELECT 1\n"}, content=b"SELECT 1\n") == []
    assert found({"url": URL, "text": "SELECT 1"}, content=b"SELECT 1\n") == {"text": ("SELECT 1", "SELECT 1\n")}
    assert fields({"url": URL, "text": ""}) == []
    assert fields({"url": URL, "text": ""}, content=b"x") == ["text"]


def test_text_may_be_a_regex() -> None:
    assert fields({"url": URL, "text": "/(?s)one.*two/"}, content=b"one\ntwo") == []
    assert fields({"url": URL, "text": "/one.*two/"}, content=b"one\ntwo") == ["text"]


def test_a_regex_may_be_one_character_and_two_slashes_are_a_text() -> None:
    assert fields({"url": URL, "text": "/a/"}, content=b"bab") == []
    assert fields({"url": URL, "text": "//"}, content=b"//") == []
    assert fields({"url": URL, "text": "//"}, content=b"a") == ["text"]


def test_a_regex_that_is_none_is_just_a_text() -> None:
    assert fields({"url": URL, "text": "/(/"}, content=b"/(/") == []
    assert fields({"url": URL, "text": "/(/"}, content=b"(") == ["text"]
