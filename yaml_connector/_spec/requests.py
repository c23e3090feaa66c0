"""Requests and steps (section 6)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from yaml_connector._spec.fields import (
    Condition,
    Duration,
    Extract,
    ExtractMap,
    Model,
    Name,
    Text,
    Tree,
    TreeMap,
    UrlText,
)
from yaml_connector._text import short

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def http_method(value: str) -> str:
    """Return the method in upper case; raise ValueError for an unknown one."""
    if value.upper() not in METHODS:
        raise ValueError(f"{short(value)} is not a valid method; allowed: {', '.join(METHODS)}")
    return value.upper()


def _method(value: str) -> str:
    return value if "${{" in value else http_method(value)


def _status(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return str(value)
    if isinstance(value, str) and re.fullmatch(r"[1-5](xx|\d\d)", value):
        return value
    raise ValueError(f"{short(value)} is no status; write 404 or 2xx")


Method = Annotated[
    Text,
    AfterValidator(_method),
    WithJsonSchema({"anyOf": [{"enum": list(METHODS)}, {"type": "string", "pattern": r"^[a-z]+$|\$\{\{"}]}),
]
Status = Annotated[int | str, AfterValidator(_status)]
Statuses = Annotated[list[Status], Field(min_length=1)]


class Part(Model):
    """One part of a multipart body: its content as text, or a file input."""

    filename: Annotated[Text | None, Field(description="The file name that the part carries.")] = None
    content_type: Annotated[Text | None, Field(description="The part's media type.")] = None
    content: Annotated[Tree, Field(description="The part's content; what is no text is sent as JSON.")] = None
    file: Annotated[Text | None, Field(description="A file input whose content is streamed.")] = None

    @model_validator(mode="after")
    def _one_content(self) -> Part:
        if ("content" in self.model_fields_set) == ("file" in self.model_fields_set):
            raise ValueError("give either content or file")
        return self


class Request(Model):
    """One HTTP request. Short form: `GET /jobs`."""

    method: Annotated[Method | None, Field(description="Required in create and delete; elsewhere GET.")] = None
    path: Annotated[UrlText | None, Field(description="Under base_url; template results are one segment each.")] = None
    url: Annotated[
        UrlText | None, Field(description="Absolute, or relative to base_url, within the allowed hosts.")
    ] = None
    query: Annotated[TreeMap | None, Field(description="Query parameters; a list gives one for each item.")] = None
    headers: Annotated[TreeMap | None, Field(description="Headers; a Content-Type named here wins.")] = None
    json_body: Annotated[Tree, Field(alias="json", description="A JSON body.")] = None
    form: Annotated[TreeMap | None, Field(description="A form body, URL-encoded.")] = None
    text: Annotated[Tree, Field(description="A text body.")] = None
    file: Annotated[Text | None, Field(description="A file input whose content is the body, streamed.")] = None
    multipart: Annotated[
        dict[str, Annotated[Part, Field()] | Text] | Text | None, Field(description="A multipart/form-data body.")
    ] = None
    timeout: Annotated[Duration | None, Field(description="One attempt; default: the connection's.")] = None
    auth: Annotated[bool, Field(description="false leaves the connection's auth out.")] = True
    follow_redirects: Annotated[bool | None, Field(description="Default: the connection's.")] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            method, _, path = value.strip().partition(" ")
            if not path.strip() or "/" in method:
                raise ValueError("the short form of a request is a method and a path: GET /jobs")
            target = path.strip()
            key = "url" if re.match(r"https?://", target) or target.startswith("${{") else "path"
            return {"method": method, key: target}
        return value

    @model_validator(mode="after")
    def _one_of_each(self) -> Request:
        if (self.path is None) == (self.url is None):
            raise ValueError("a request needs either path or url")
        if len(self.bodies) > 1:
            raise ValueError(f"a request has at most one body, not {' and '.join(self.bodies)}")
        return self

    @property
    def bodies(self) -> list[str]:
        """The kinds of body that are given, as the language names them."""
        given = [name for name in ("json_body", "form", "text", "file", "multipart") if name in self.model_fields_set]
        return [name.removesuffix("_body") for name in given]


class Step(Model):
    """A request, how its answer is judged, and what is read from it."""

    name: Annotated[Name | None, Field(description="What `steps.NAME` calls it.")] = None
    when: Annotated[Condition | None, Field(alias="if", description="The step is skipped if this is false.")] = None
    request: Annotated[Request, Field(description="The request.")]
    success: Annotated[
        Statuses | None, Field(description="What counts as an answer; default [2xx].", examples=[["2xx", 404]])
    ] = None
    error: Annotated[
        Condition | None, Field(description="True or a text: the call failed for good.", examples=["body.error"])
    ] = None
    retry_if: Annotated[Condition | None, Field(description="True: a passing failure, as a 503.")] = None
    save: Annotated[ExtractMap | None, Field(description="Kept as `steps.NAME.saved.X`.")] = None
    optional: Annotated[bool, Field(description="A failure counts as skipped.")] = False
    each: Annotated[Extract, Field(description="Once for each item of this list.", examples=["$.tasks[*]"])] = None
    follow: Annotated[
        Extract, Field(description="The next page's URL, got again and again.", examples=["$.nextUri"])
    ] = None
    follow_for: Annotated[Duration, Field(description="How long to follow, from the first request.")] = 3.0


class NamedStep(Step):
    """A step of `steps`."""

    name: Annotated[Name, Field(description="What `steps.NAME` calls it.")]


class Calls(Model):
    """One `request` with what belongs to it, or `steps`."""

    request: Annotated[Request | None, Field(description="The one request of this call.")] = None
    steps: Annotated[list[NamedStep] | None, Field(min_length=1, description="Several requests, in order.")] = None
    read: Annotated[Name | None, Field(description="The step whose answer is read; default: the last that ran.")] = None
    name: Annotated[Name | None, Field(description="What `steps.NAME` calls the request.")] = None
    when: Annotated[Condition | None, Field(alias="if", description="The request is skipped if this is false.")] = None
    success: Annotated[
        Statuses | None, Field(description="What counts as an answer; default [2xx].", examples=[["2xx", 404]])
    ] = None
    error: Annotated[
        Condition | None, Field(description="True or a text: the call failed for good.", examples=["body.error"])
    ] = None
    retry_if: Annotated[Condition | None, Field(description="True: a passing failure, as a 503.")] = None
    save: Annotated[ExtractMap | None, Field(description="Extractions that are kept.")] = None
    optional: Annotated[bool, Field(description="A failure counts as skipped.")] = False
    each: Annotated[Extract, Field(description="Once for each item of this list.", examples=["$.tasks[*]"])] = None
    follow: Annotated[
        Extract, Field(description="The next page's URL, got again and again.", examples=["$.nextUri"])
    ] = None
    follow_for: Annotated[Duration, Field(description="How long to follow, from the first request.")] = 3.0

    @model_validator(mode="after")
    def _request_or_steps(self) -> Calls:
        self._check_calls()
        return self

    def _check_calls(self) -> None:
        if (self.request is None) == (self.steps is None):
            raise ValueError("give either request or steps")
        if self.steps is not None:
            self._check_steps_alone(("if", "success", "error", "retry_if", "optional", "each", "follow", "follow_for"))

    def _check_steps_alone(self, names: tuple[str, ...]) -> None:
        for name in names:
            if ("when" if name == "if" else name) in self.model_fields_set:
                raise ValueError(f"{name} belongs to a request; with steps, write it in the step")

    def as_steps(self, *, save: bool = True) -> list[Step]:
        """The calls as a list of steps: a single request is one step. `save` False: the section's own `save` means
        something else (in create it is kept with the job)."""
        if self.steps is not None:
            return list(self.steps)
        assert self.request is not None
        return [self._own_step(save)]

    def _own_step(self, save: bool) -> Step:
        given = {name for name in self.model_fields_set if name in Step.model_fields and (save or name != "save")}
        values = {name: getattr(self, name) for name in Step.model_fields}  # all: pydantic is slow to find defaults
        return Step.model_construct(given, **(values if save else values | {"save": None}))
