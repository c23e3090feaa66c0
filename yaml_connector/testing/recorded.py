"""The models of recorded exchanges: the request that must be sent, and the response to it."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from yaml_connector._spec.fields import Duration, Model
from yaml_connector._spec.requests import WithBody, http_method

Scalar = str | int | float | bool | None


def _base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError("this is not valid base64") from None
    return value


def empty(value: Any) -> Any:
    """Take a key without a value as an empty mapping."""
    return {} if value is None else value


def _part(value: Any) -> Any:
    return {"content": value} if value is None or isinstance(value, str | int | float) else value


def _parts(value: Any) -> Any:
    return list(map(_part, value)) if isinstance(value, list) else [] if value is None else [_part(value)]


class RecordedPart(Model):
    """A part of a multipart body; what is left out is not compared."""

    content: Annotated[Any, Field(description="The content: text, or any other value if the part is JSON.")] = None
    filename: Annotated[str | None, Field(description="The file name; null: there is none.")] = None
    content_type: Annotated[str | None, Field(description="The media type; null: there is none.")] = None


Parts = Annotated[
    list[RecordedPart],
    BeforeValidator(_parts, json_schema_input_type=RecordedPart | Scalar | list[RecordedPart | Scalar]),
]


class RecordedRequest(WithBody):
    """The request that must be sent. Short form: `GET https://api.test/jobs/7`."""

    method: Annotated[str, AfterValidator(http_method), Field(description="The method.")] = "GET"
    url: Annotated[str | None, Field(description="The URL as sent, percent-encoded; its query counts as `query`.")] = (
        None
    )
    path: Annotated[str | None, Field(description="Only the URL's path, as sent, percent-encoded.")] = None
    query: Annotated[
        dict[str, Scalar | list[Scalar]],
        Field(description="Query parameters that must be present; null: must be absent."),
    ] = Field(default_factory=dict)
    headers: Annotated[dict[str, Scalar], Field(description="Headers that must be present; null: must be absent.")] = (
        Field(default_factory=dict)
    )
    json_body: Annotated[Any, Field(alias="json", description="The exact JSON body.")] = None
    form: Annotated[dict[str, Any] | None, Field(description="The exact form fields, decoded.")] = None
    text: Annotated[str | None, Field(description="The exact body as text.")] = None
    multipart: Annotated[
        dict[str, Parts] | None,
        Field(description="The exact parts of a multipart body, by name; a list for several parts of one name."),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            method, _, target = value.strip().partition(" ")
            if not target.strip():
                raise ValueError("the short form of a request is a method and a URL: GET https://api.test/jobs/7")
            return {"method": method, "path" if target.strip().startswith("/") else "url": target.strip()}
        return value

    @model_validator(mode="after")
    def _one_of_each(self) -> RecordedRequest:
        if (self.path is None) == (self.url is None):
            raise ValueError("a recorded request has either url or path")
        if self.url is not None and not re.match(r"https?://", self.url):
            raise ValueError(
                f"{self.url!r} is not a whole URL: it must start with https:// or http://; use path for a path"
            )
        self.check_one_body("request")
        return self

    @property
    def target(self) -> str:
        """Return its method and URL, or path, as messages name it."""
        return f"{self.method} {self.url or self.path}"


class RecordedResponse(WithBody):
    """The response, and when it arrives."""

    status: Annotated[int, Field(ge=100, le=599, description="The HTTP status code.")] = 200
    headers: Annotated[
        dict[str, Scalar | list[Scalar]], Field(description="The headers; a list sends one header for each item.")
    ] = Field(default_factory=dict)
    cookies: Annotated[dict[str, Scalar], Field(description="Cookies that the response sets, by name.")] = Field(
        default_factory=dict
    )
    json_body: Annotated[Any, Field(alias="json", description="A JSON body.")] = None
    text: Annotated[str | None, Field(description="A text body.")] = None
    base64: Annotated[str | None, AfterValidator(_base64), Field(description="A body of any bytes, in base64.")] = None
    after: Annotated[Duration, Field(description="How long the response takes.")] = 0.0
    fault: Annotated[
        Literal["timeout", "refused", "reset", "truncated", "not_http"] | None,
        Field(
            description="A failure in place of a response. `truncated`: the head and half of the body; "
            "`not_http`: bytes that are not HTTP."
        ),
    ] = None

    @model_validator(mode="after")
    def _one_of_each(self) -> RecordedResponse:
        self.check_one_body("response")
        if self.fault not in (None, "truncated") and self.model_fields_set - {"fault", "after"}:
            raise ValueError("a fault replaces the response: it has no status, headers or body")
        return self


class RecordedExchange(Model):
    """One request that must be sent, and the response to it."""

    request: Annotated[RecordedRequest, Field(description="The request.")]
    response: Annotated[
        RecordedResponse, BeforeValidator(empty), Field(description="The response; default: an empty 200.")
    ] = Field(default_factory=RecordedResponse)
    repeat: Annotated[int, Field(ge=1, description="How often the request is sent.")] = 1
