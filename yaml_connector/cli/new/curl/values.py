"""What the values of the commands become: secrets, config, inputs, the job's id, headers that stay or go."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from yaml_connector.cli.new.curl.call import Call, Key
from yaml_connector.cli.new.curl.tokens import FilePart, Leaf, Tokens, Variable, text_in
from yaml_connector.cli.new.names import identifier, is_secret_header, is_secret_name, unused, word_set
from yaml_connector.cli.new.sketch import Ref, Sketch, Text, add_value, literal

_SECRET_VALUE = re.compile(
    r"(sk|pk|rk)[-_][A-Za-z0-9_-]{12,}|gh[pousr]_\w{20,}|xox[a-z]-[\w-]{10,}|A[KS]IA[A-Z0-9]{12,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|"
    r"glpat-[\w-]{10,}|hf_\w{20,}|rpa_\w{16,}|r8_\w{20,}|key_[a-f0-9]{20,}|dop_v1_\w+|AIza[\w-]{30,}|SG\.[\w-]{10,}\.[\w-]+"
)
_BROWSER = word_set(
    """accept-language accept-encoding user-agent origin referer connection content-length host dnt priority pragma
    cache-control upgrade-insecure-requests te if-none-match if-modified-since save-data purpose x-client-data
    traceparent tracestate sentry-trace baggage newrelic x-newrelic-id request-id sec-gpc expect keep-alive
    postman-token x-request-id x-correlation-id downlink ect rtt viewport-width device-memory dpr
    transfer-encoding"""
)
_ANALYTICS = re.compile(r"(?i)_ga.*|_gid|_gat.*|_fbp|_hj.*|_gcl.*|amp_.*|ajs_.*|mp_.*|intercom-.*|optimizely.*|__utm.*|"
                        r"_dc_gtm.*|cookie_?consent.*|Optanon.*|__hs.*|hubspotutk|_clck|_clsk|_uet.*")  # fmt: skip
_SETTING = re.compile(
    r"(?i)theme|lang|language|locale|tz|timezone|sidebar.*|collapsed|color.*|dark.*|ui[_-].*|view.*|layout|currency|consent.*|i18n.*|device.*"
)
_KEY_HEADER = re.compile(r"(?i)(x-)?idempotency-?(key|token)|x-ms-client-request-id")


def is_browsers(name: str) -> bool:
    """Return whether a header is a browser's own, or one that is made anew for every request."""
    lower = name.lower()
    return lower in _BROWSER or lower.startswith(("sec-", "x-b3-", "cf-", ":"))


@dataclass
class Values:
    """Finds the place in the spec of every value of the commands.

    `keys` are what identifies something made by an earlier call, each with its template; `secrets` the literal values
    of credentials, each with its name.
    """

    sketch: Sketch
    keys: dict[Key, Ref] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    differing: dict[tuple[Any, ...], Ref] = field(default_factory=dict)

    # --- names ---

    def secret(
        self, name: str, value: str | None, variable: str | None = None, *, sensitive: bool | None = None
    ) -> Ref:
        """Return a secret; `value` is its literal, `variable` the variable that holds it."""
        if value is not None and value in self.secrets:
            return Ref(f"secrets.{self.secrets[value]}")
        section = self.sketch.spec["secrets"]
        env = variable.upper() if variable and re.fullmatch(r"[A-Za-z_]\w*", variable) else None
        if env in ("USER", "USERNAME", "LOGNAME", "HOME", "NAME", "PATH", "SHELL"):
            env = f"{self.sketch.name}_{env}".upper()  # they are set in every environment
        same = next((known for known, about in section.items() if env is not None and about["env"] == env), None)
        if same is None:
            base = identifier(name, "secret")
            base = f"{base}_secret" if base in ("inputs", "task_template", "output_prefix", "resource_meta") else base
        name = same or unused(base, section)
        if value is not None:
            self.secrets[value] = name
            if (decoded := unquote(value)) != value:
                self.secrets[decoded] = name
        return self.sketch.secret(name, env, **({} if sensitive is None else {"sensitive": sensitive}))

    def field(self, named: Variable, *, bare: bool = False, fallback: str = "") -> Ref:
        """Return a config field for a variable that the text sets, and an input for one that it does not set."""
        name = identifier(named.name or fallback)
        value: Any = named.value
        number = bare or (value is not None and re.fullmatch(r"-?(0|[1-9]\d{0,14})", value) is not None)
        kind = "int" if number and (value is None or re.fullmatch(r"-?\d+", value)) else "str"
        if bare and value is not None and kind == "str":
            if value in ("true", "false"):
                kind, value = "bool", value == "true"
            elif re.fullmatch(r"-?\d+\.\d+", value):
                kind, value = "float", float(value)
        kind = kind if bare or kind == "str" else "str"
        if value is None:
            kind = "any" if bare else "str"
            return self.sketch.input(name, kind, 7 if bare else f"a-{name.replace('_', '-')}")
        value = int(value) if kind == "int" else value
        self.sketch.spec["config"].setdefault(name, {"type": kind, "default": value})
        return Ref(f"config.{name}")

    # --- values ---

    def text(self, tokens: Tokens, *, name: str = "", path: bool = False, secret: bool = False) -> Text:
        """Return tokens as text with templates; in a `path` what identifies something is a whole segment."""
        parts: list[str | Ref | Text] = []
        for part in tokens:
            if isinstance(part, Variable):
                parts.append(self.named(part, secret=secret or is_secret_name(name), alias=name))
            elif path:
                parts.append(self._path(part))
            else:
                parts.append(self._literal(part, name, secret))
        return Text.of(*parts)

    def named(self, part: Variable, *, secret: bool = False, bare: bool = False, alias: str = "") -> Ref:
        """Return what a variable becomes."""
        known = self.keys.get(("name", part.name)) or self.keys.get(("text", part.value or ""))
        if known is not None:
            return known
        if secret or is_secret_name(part.name):
            return self.secret(part.name, part.value, part.name)
        return self.field(part, bare=bare, fallback=alias)

    def _literal(self, text: str, name: str, secret: bool) -> Text:
        if ("text", text) in self.keys:
            return Text.of(self.keys["text", text])
        if (text and (secret or (is_secret_name(name) and len(text) > 3))) or _SECRET_VALUE.fullmatch(text):
            return Text.of(self.secret(identifier(name, "secret") if name else "token", text))
        return self.replaced(text)

    def replaced(self, text: str) -> Text:
        """Return a text in which long ids and secrets are templates."""
        known: dict[str, Ref] = {key[1]: ref for key, ref in self.keys.items() if key[0] == "text" and len(key[1]) > 7}
        known |= {value: Ref(f"secrets.{name}") for value, name in self.secrets.items() if len(value) > 7}
        if not known:
            return Text.of(text)
        pattern = "|".join(re.escape(value) for value in sorted(known, key=len, reverse=True))
        return Text.of(*(known.get(piece, piece) for piece in re.split(f"({pattern})", text)))

    def _path(self, text: str) -> Text:
        parts: list[str | Ref | Text] = []
        keys = [(key[1], ref) for key, ref in self.keys.items() if key[0] == "text" and "/" in key[1]]
        for value, ref in keys:  # names like projects/a/operations/b
            before, found, after = text.partition(value)
            if found and (not after or after[0] in "/:?"):
                return Text.of(self._path(before), Ref(f"{ref.expression} | path"), self._path(after))
        for piece in re.split(r"(/|:(?=[A-Za-z]+(?:/|$)))", text):
            parts.append(self.keys.get(("text", unquote(piece))) or self.replaced(piece))
        return Text.of(*parts)

    def tree(self, value: Any, name: str = "", path: tuple[Any, ...] = ()) -> Any:
        """Return a JSON body as the spec has it."""
        if path in self.differing:
            return Text.of(self.differing[path])
        if isinstance(value, dict):
            return {literal(key): self.tree(item, key, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, name, (*path, number)) for number, item in enumerate(value)]
        if isinstance(value, Leaf):
            if value.bare and len(value.tokens) == 1 and isinstance(value.tokens[0], Variable):
                return self._number(self.named(value.tokens[0], bare=True, secret=is_secret_name(name)))
            return self.text(value.tokens, name=name)
        if isinstance(value, str):
            return self._literal(value, name, False)
        key = ("text", str(value))
        if type(value) is int and key in self.keys and (value > 9 or re.search(r"(?i)id$", name)):
            return self._number(self.keys[key])
        return value

    def _number(self, ref: Ref) -> Text:
        """Return an id as a JSON number."""
        if ref.expression != "job.id":
            return Text.of(ref)
        return Text.of(Ref("job.id | int"))

    def body(self, call: Call) -> dict[str, Any]:
        """Return the body of a call as fields of a request."""
        if call.body_kind is None:
            return {}
        if call.body_kind == "json":
            return {"json": self.tree(call.body)}
        if call.body_kind == "text":
            return {"text": self.text(call.body.tokens)}
        if call.body_kind == "file":
            return {"file": Text.of(self.file(call.body, "file"))}
        fields: dict[str, Any] = {}
        for name, value in call.body:
            add_value(fields, name, self._part(name, value))
        return {call.body_kind: fields}

    def _part(self, name: str, value: Any) -> Any:
        if isinstance(value, FilePart):
            part: dict[str, Any] = {"file": Text.of(self.file(value, name))}
            part |= {"filename": literal(value.filename)} if value.filename else {}
            return part | ({"content_type": value.content_type} if value.content_type else {})
        if isinstance(value, dict):
            return {key: literal(item) for key, item in value.items()}
        return self.text(value.tokens, name=name)

    def file(self, part: FilePart, name: str) -> Ref:
        """Return a file input."""
        about = {"type": "file", "description": f"The content of {part.name}."}
        others = {known for known, item in self.sketch.spec["inputs"].items() if item != about}
        sample = f"{self.sketch.name}.test.yaml"  # a file that is there when the test runs: itself
        return self.sketch.input(unused(identifier(name, "file"), others), about, sample)

    # --- headers ---

    def headers(self, call: Call) -> dict[str, Any]:
        """Return the headers of a call that matter, without its credentials."""
        found: dict[str, Any] = {}
        for name, tokens in call.headers:
            lower, text = name.lower(), text_in(tokens)
            if is_browsers(name) or lower == "authorization":
                continue
            if lower == "accept" and ("*/*" in text or text.startswith("text/html")):
                continue
            if lower == "content-type" and (call.body_kind is None or usual_type(text, call.body_kind)):
                continue
            if _KEY_HEADER.fullmatch(name):
                found[name] = Text.of(Ref("task.key"))
                continue
            found[name] = self.text(
                tokens, name=header_name(name) if is_secret_header(name) else "", secret=is_secret_header(name)
            )
        if call.body_kind in ("text", "file") and call.header("content-type") is None:
            found["Content-Type"] = "application/x-www-form-urlencoded"  # as curl does
        return found


def header_name(name: str) -> str:
    """Return the name of the secret that a header carries."""
    return re.sub(r"(?i)^x-", "", name)


def usual_type(text: str, kind: str) -> bool:
    """Return whether a Content-Type is the one that a body of this kind gets anyway."""
    wanted = {
        "json": "application/json",
        "form": "application/x-www-form-urlencoded",
        "multipart": "multipart/form-data",
    }
    return text.split(";")[0].strip().lower() == wanted.get(kind, "")


def cookie_kind(name: str, value: str) -> str:
    """Return what a cookie is: analytics (goes), a setting (stays as it is), or a secret."""
    if _ANALYTICS.fullmatch(name):
        return "analytics"
    if _SETTING.fullmatch(name) and len(value) < 40:
        return "setting"
    return "secret"


def basic_of(text: str) -> tuple[str, str] | None:
    """Return user name and password of a `Basic` header; None if it is not one."""
    try:
        user, colon, password = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (user, password) if colon else None
