"""The models of recorded exchanges (section 10): the request that must be sent, and what comes back."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from yaml_connector._spec.fields import Duration, Model
from yaml_connector._spec.requests import METHODS

Scalar = str | int | float | bool | None


def _method(value: str) -> str:
    if value.upper() not in METHODS:
        raise ValueError(f"{value!r} is no method; allowed: {', '.join(METHODS)}")
    return value.upper()


def _base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError("this is no base64") from None
    return value


def empty(value: Any) -> Any:
    """A key without a value, in place of a mapping, is an empty one."""
    return {} if value is None else value


class RecordedRequest(Model):
    """What must be sent. Short form: `GET https://api.test/jobs/7`."""

    method: Annotated[str, AfterValidator(_method), Field(description="The method.")] = "GET"
    url: Annotated[str | None, Field(description="As sent, encoded; its query counts as `query`.")] = None
    path: Annotated[str | None, Field(description="The URL's path alone, as sent, encoded.")] = None
    query: Annotated[
        dict[str, Scalar | list[Scalar]], Field(description="Parameters that must be there; null: must not.")
    ] = Field(default_factory=dict)
    headers: Annotated[dict[str, Scalar], Field(description="Headers that must be there; null: must not.")] = Field(
        default_factory=dict
    )
    json_body: Annotated[Any, Field(alias="json", description="The JSON body, exactly.")] = None
    form: Annotated[dict[str, Any] | None, Field(description="The form, decoded, exactly.")] = None
    text: Annotated[str | None, Field(description="The body as text, exactly.")] = None

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
        if self.url is not None and not re.match(r"https?://|/", self.url):
            raise ValueError(
                f"{self.url!r} is no whole URL: it starts with https:// or http://; path takes a path alone"
            )
        if len(self.bodies) > 1:
            raise ValueError(f"a request has at most one body, not {' and '.join(self.bodies)}")
        return self

    @property
    def bodies(self) -> list[str]:
        """The kinds of body that are given, as the page names them."""
        given = [name for name in ("json_body", "form", "text") if name in self.model_fields_set]
        return [name.removesuffix("_body") for name in given]


class RecordedResponse(Model):
    """What comes back, and when."""

    status: Annotated[int, Field(ge=100, le=599, description="The status.")] = 200
    headers: Annotated[dict[str, Scalar | list[Scalar]], Field(description="Headers; a list: one for each item.")] = (
        Field(default_factory=dict)
    )
    json_body: Annotated[Any, Field(alias="json", description="A JSON body.")] = None
    text: Annotated[str | None, Field(description="A text body.")] = None
    base64: Annotated[str | None, AfterValidator(_base64), Field(description="A body of any bytes.")] = None
    after: Annotated[Duration, Field(description="The time that the answer takes.")] = 0.0
    fault: Annotated[
        Literal["timeout", "refused", "reset"] | None, Field(description="No answer: what happens instead.")
    ] = None

    @model_validator(mode="after")
    def _one_of_each(self) -> RecordedResponse:
        given = [name for name in ("json_body", "text", "base64") if name in self.model_fields_set]
        if len(given) > 1:
            raise ValueError(
                f"a response has at most one body, not {' and '.join(name.removesuffix('_body') for name in given)}"
            )
        if self.fault is not None and self.model_fields_set - {"fault", "after"}:
            raise ValueError("a fault is no answer: it has no status, headers or body")
        return self


class Exchange(Model):
    """One request that must be sent, and its answer."""

    request: Annotated[RecordedRequest, Field(description="The request.")]
    response: Annotated[RecordedResponse, BeforeValidator(empty), Field(description="Its answer; default: 200.")] = (
        Field(default_factory=RecordedResponse)
    )
    repeat: Annotated[int, Field(ge=1, description="So many times.")] = 1
