"""Requests and steps."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from yaml_connector._spec.fields import (
    Condition,
    Duration,
    ExtractMap,
    Model,
    Name,
    ReadExtract,
    Slot,
    Text,
    Tree,
    TreeMap,
    UrlText,
    WholeUrlText,
)
from yaml_connector._text import did_you_mean, short, short_yaml

FRAMING = ("content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect")
"""Headers that say where a request ends, in lower case: a spec sets none of them."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def http_method(value: str) -> str:
    """Return the method in upper case; raise ValueError for an unknown one."""
    if value.upper() not in METHODS:
        raise ValueError(
            f"{short(value)} is not a valid method{_instead_of_method(value)}{did_you_mean(value, METHODS)}"
        )
    return value.upper()


def _instead_of_method(value: str) -> str:
    return "; `yaml-connector new NAME --from-curl` reads commands" if value.lower() == "curl" else ""


def _method(value: str) -> str:
    return value if "${{" in value else http_method(value)


def _status(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return str(value)
    if isinstance(value, str) and re.fullmatch(r"[1-5](xx|\d\d)", value):
        return value
    hundreds = re.fullmatch(r"([1-5])(?:00 ?- ?(?:\1)99|[*.xX]{2})", str(value))
    raise ValueError(f"{short(value)} is not a valid status; write {f'{hundreds[1]}xx' if hundreds else '404 or 2xx'}")


def _success_condition(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\s*[1-5][\dxX]{2}\s*(?:[,-]\s*[1-5][\dxX]{2}\s*)+", value):
        parts = [re.sub(r"([1-5])00\s*-\s*\1?99", r"\1xx", part.strip()) for part in value.split(",")]
        raise ValueError(f"{short_yaml(value)} is neither a condition nor a list; write [{', '.join(parts)}]")
    if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"\s*[1-5](xx|\d\d)\s*", value)):
        instead = "a list such as [2xx, 404]" if isinstance(value, bool) else f"[{str(value).strip()}]"
        raise ValueError(f"{short_yaml(value)} is neither a condition nor a list of statuses; write {instead}")
    return value


Method = Annotated[
    Text,
    AfterValidator(_method),
    WithJsonSchema({"anyOf": [{"enum": list(METHODS)}, {"type": "string", "pattern": r"^[a-z]+$|\$\{\{"}]}),
]
Status = Annotated[int | str, AfterValidator(_status)]
Success = Annotated[
    Annotated[list[Status], Field(min_length=1), Tag("statuses")]
    | Annotated[str, BeforeValidator(_success_condition), Slot("condition"), Tag("condition")],
    Discriminator(lambda value: "statuses" if isinstance(value, list) else "condition"),
]


class Part(Model):
    """One part of a multipart body: its content, or a file input."""

    filename: Annotated[Text | None, Field(description="The file name of the part.")] = None
    content_type: Annotated[Text | None, Field(description="The media type of the part.")] = None
    content: Annotated[
        Tree, Field(description="The content of the part. Values that are not strings are sent as JSON.")
    ] = None
    file: Annotated[Text | None, Field(description="The URI of a file input, whose content is streamed.")] = None

    @model_validator(mode="after")
    def _one_content(self) -> Part:
        if ("content" in self.model_fields_set) == ("file" in self.model_fields_set):
            raise ValueError("give either content or file")
        return self


def _kind_of_part(value: Any) -> str:
    return "Part" if isinstance(value, dict | Part) else "value"


def _kind_of_parts(value: Any) -> str:
    return "list" if isinstance(value, list) else _kind_of_part(value)


_OnePart = Annotated[Part, Tag("Part")] | Annotated[Text | int | float | bool | None, Tag("value")]
Parts = Annotated[
    Annotated[list[Annotated[_OnePart, Discriminator(_kind_of_part)]], Tag("list")] | _OnePart,
    Discriminator(_kind_of_parts),
]
"""The value of a name in a multipart body: one part, or a list of parts with this name."""


_BODIES = ("json_body", "form", "text", "base64", "file", "multipart")


class WithBody(Model):
    """A request or a response: it has at most one body, under the name of its kind."""

    @property
    def bodies(self) -> list[str]:
        """The kinds of body that are given, as files name them."""
        return [name.removesuffix("_body") for name in _BODIES if name in self.model_fields_set]

    def check_one_body(self, what: str) -> None:
        """Raise ValueError if there are two; `what` says what has them."""
        if len(self.bodies) > 1:
            raise ValueError(f"a {what} has at most one body, not {' and '.join(self.bodies)}")


class Request(WithBody):
    """One HTTP request. Short form: `GET /jobs`."""

    method: Annotated[
        Method | None,
        Field(description="The HTTP method. Required in create and delete; elsewhere the default is GET."),
    ] = None
    path: Annotated[
        UrlText | None, Field(description="The path, appended to base_url. Each template result becomes one segment.")
    ] = None
    url: Annotated[
        WholeUrlText | None, Field(description="A whole URL, instead of `path`; its host must be allowed.")
    ] = None
    query: Annotated[
        TreeMap | None, Field(description="Query parameters. A list is sent as one parameter for each item.")
    ] = None
    headers: Annotated[
        TreeMap | None, Field(description="Headers. A Content-Type here replaces the one of the body.")
    ] = None
    json_body: Annotated[Tree, Field(alias="json", description="A JSON body.")] = None
    form: Annotated[TreeMap | None, Field(description="A form body, URL-encoded.")] = None
    text: Annotated[Tree, Field(description="A plain text body.")] = None
    file: Annotated[
        Text | None, Field(description="The URI of a file input, whose content is streamed as the body.")
    ] = None
    multipart: Annotated[
        Annotated[
            Annotated[dict[str, Parts], Tag("names")] | Annotated[Text, Tag("template")],
            Discriminator(lambda value: "names" if isinstance(value, dict) else "template"),
        ]
        | None,
        Field(description="A multipart/form-data body. A list under a name is sent as one part for each item."),
    ] = None
    timeout: Annotated[
        Duration | None, Field(gt=0, description="The time for one attempt. Default: the connection's.")
    ] = None
    auth: Annotated[bool, Field(description="If false, the request is sent without the connection's credentials.")] = (
        True
    )
    follow_redirects: Annotated[bool | None, Field(description="Follow redirects. Default: as the connection.")] = None
    decode: Annotated[
        Literal["gzip"] | None,
        Field(
            description="Unpack a 2xx response whose body is a gzip file, such as a stored log. Any other "
            "body is read as it is."
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            method, _, path = value.strip().partition(" ")
            if not path.strip() or "/" in method:
                instead = f"; write GET {value.strip()}" if value.lstrip().startswith("/") else ""
                raise ValueError(f"the short form of a request is a method and a path: GET /jobs{instead}")
            target = path.strip()
            key = "url" if re.match(r"https?://", target) or target.startswith("${{") else "path"
            return {"method": method, key: target}
        return value

    @model_validator(mode="after")
    def _one_target(self) -> Request:
        if (self.path is None) == (self.url is None):
            raise ValueError("a request needs either path or url")
        self.check_one_body("request")
        return self


class Step(Model):
    """A request, how its response is judged, and what is read from it."""

    request: Annotated[Request, Field(description="The request.")]
    name: Annotated[Name | None, Field(description="The name by which `steps.NAME` refers to the response.")] = None
    when: Annotated[
        Condition | None, Field(alias="if", description="If this condition is false, the request is skipped.")
    ] = None
    success: Annotated[
        Success | None,
        Field(
            description="The statuses that count as success, or a condition. Default: [2xx].",
            examples=[["2xx", 404], "status == 200 and body.ok"],
        ),
    ] = None
    error: Annotated[
        Condition | None,
        Field(
            description="If true (or a string, used as the message), the call failed permanently, whatever the status.",
            examples=["body.error"],
        ),
    ] = None
    retry_if: Annotated[
        Condition | None,
        Field(description="If true, it is a transient failure, whatever the status; `error` is evaluated first."),
    ] = None
    save: Annotated[
        ExtractMap | None, Field(description="Values to keep from the response, as `steps.NAME.saved.X`.")
    ] = None
    optional: Annotated[bool, Field(description="If true, a failed request counts as skipped.")] = False
    each: Annotated[
        ReadExtract,
        Field(description="A list: the request is made once for each `item` of it.", examples=["$.tasks[*]"]),
    ] = None
    follow: Annotated[
        ReadExtract,
        Field(
            description="The URL of the next page, which is fetched until there is no further one.",
            examples=["$.nextUri"],
        ),
    ] = None
    follow_for: Annotated[Duration, Field(description="How long to follow pages, counted from the first request.")] = (
        3.0
    )
    collect: Annotated[
        ReadExtract,
        Field(
            description="With `follow`: what to read from each page. The step's body is then the list of all matches.",
            examples=["$.items[*]"],
        ),
    ] = None


class NamedStep(Step):
    """A step of `steps`."""

    name: Annotated[Name, Field(description="The name by which `steps.NAME` refers to the response.")]


class Calls(Step):
    """One `request` with what belongs to it, or `steps`."""

    request: Annotated[Request | None, Field(description="The request of this section.")] = None  # type: ignore[assignment]  # there is none beside `steps`
    steps: Annotated[list[NamedStep] | None, Field(min_length=1, description="Several requests, made in order.")] = None
    read: Annotated[
        Name | None, Field(description="The step whose response is read. Default: the last one that ran.")
    ] = None

    @model_validator(mode="after")
    def _request_or_steps(self) -> Calls:
        self._check_calls()
        return self

    def _check_calls(self) -> None:
        if (self.request is None) == (self.steps is None):
            raise ValueError("give either request or steps")
        if self.steps is not None:
            self._check_steps_alone(
                ("if", "success", "error", "retry_if", "optional", "each", "follow", "follow_for", "collect")
            )

    def _check_steps_alone(self, names: tuple[str, ...]) -> None:
        for name in names:
            if ("when" if name == "if" else name) in self.model_fields_set:
                raise ValueError(f"{name} belongs to a request; with steps, write it in the step")

    def as_steps(self, *, save: bool = True) -> list[Step]:
        """Return the requests as a list of steps: a single request is one step, the section itself.

        With `save` False, the section's own `save` is left out: in create it is kept with the job, not with the step.
        """
        if self.steps is not None:
            return list(self.steps)
        return [self if save or self.save is None else self.model_copy(update={"save": None})]
