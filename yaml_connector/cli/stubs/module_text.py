"""The module that `yaml-connector stubs` writes: it tells editors and type checkers about the tasks of specs.

Its form is `templates/typed_module.py.jinja`. The classes are under `TYPE_CHECKING`; at run time the names come from
the specs themselves (`flyte.stub_runtime.names_of`). Formatters and linters leave the text as it is.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from yaml_connector._expressions.value_types import ValueType, python_name
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.interface import ConfigField
from yaml_connector._spec.python_names import class_stem
from yaml_connector.cli._description.snippet import python_literal
from yaml_connector.cli._description.words import limits_of, sources_of
from yaml_connector.cli._diagnostics import printable
from yaml_connector.errors import Diagnostic
from yaml_connector.flyte.stub_runtime import TaskOptions

MARK = "Written by `yaml-connector stubs`"
_WIDTH = 88
_BUILTINS = ("str", "int", "float", "bool", "list", "dict", "tuple")
_IMPORTED = ("_b", "_dc", "_dt", "_p", "_t", "_Coroutine", "_Mapping", "_io", "_te", "_plugin", "_typed")
_PARAMETERS = ("self", "name", "plugin_config", "inputs", "outputs", "kwargs")
_ANY = "_t.Any"
_ALIASES = {"": "_t.", "datetime": "_dt.", "flyte.io": "_io.", "collections.abc": "_"}


def name_problems(loaded: Sequence[LoadedSpec]) -> Iterator[Diagnostic]:
    """Yield a problem for each clash of class names, and for each name that is not a valid parameter or field."""
    first: dict[str, LoadedSpec] = {}
    for item in loaded:
        spec = item.spec
        stem = class_stem(spec.task_type_name)
        other = first.setdefault(stem, item)
        if other.spec.task_type_name != spec.task_type_name:
            message = f"its class would be {stem}Task, like that of {other.spec.task_type_name!r} in {other.file}"
            yield item.document.problem(("task_type_name",), message)
        taken = {"config": ("self", *_IMPORTED), "secrets": _PARAMETERS}
        for section, names in (("config", spec.config), ("secrets", spec.secrets)):
            for name in names:
                if keyword.iskeyword(name) or name in taken[section] or name.startswith("__"):
                    message = f"a Python class cannot take a {section.removesuffix('s')} called {name!r}"
                    yield item.document.problem((section, name), message)


def module_text(specs: Sequence[ConnectorSpec]) -> str:
    """Return the module for these specs, one for each task type."""
    hidden = {name for spec in specs for name in spec.config} & set(_BUILTINS)
    connectors = [_Connector(spec, "_b." if hidden else "") for spec in specs]
    text: str = _template().render(
        mark=MARK,
        b="_b." if hidden else "",
        connectors=connectors,
        modules=sorted({found for item in connectors for found in item.modules.items()}),
        public=sorted(["task_from_spec", *(name for item in connectors for name in item.public)]),
    )
    return text


def _template() -> Any:
    environment = Environment(  # noqa: S701 - the output is Python; texts go through `literal` and `docstring`
        loader=PackageLoader("yaml_connector.cli.stubs"),
        undefined=StrictUndefined,
        trim_blocks=True,
        extensions=["jinja2.ext.loopcontrols"],
        keep_trailing_newline=True,
    )
    environment.filters |= {"docstring": _docstring, "literal": python_literal}
    return environment.get_template("typed_module.py.jinja")


@dataclass(frozen=True)
class _Field:
    """A config field or a secret; `default` includes the `=`."""

    name: str
    doc: str
    annotation: str = ""
    dict_annotation: str = ""
    default: str = ""


class _Connector:
    """What the template needs of one spec; `b` is the prefix of builtin types."""

    def __init__(self, spec: ConnectorSpec, b: str) -> None:
        self.spec, self.b = spec, b
        self.modules = dict[str, str]()  # of types, beside those that every stub imports, with their aliases
        self.task_type = spec.task_type_name
        self.makes_tasks = spec.runs is None  # else a decorated function is the task
        self.stem = class_stem(spec.task_type_name)
        self.secrets = [
            _Field(name, _sentences(secret.description, f"From {sources_of(secret)}"))
            for name, secret in spec.secrets.items()
        ]
        self.config = [self._field(name, field) for name, field in spec.config.items()]
        self.config_doc = f"Configuration of a task: {spec.title}."
        given = f"{self.stem}Config | {self.stem}ConfigDict"
        self.given = given if any(field.required for field in spec.config.values()) else f"{given} | None = None"
        outputs = {name: field.type for name, field in spec.outputs.items() if name != "*"}
        shown = ", ".join(f"{name} ({kind})" for name, kind in outputs.items())
        self.doc = _sentences(spec.description or f"A job of {spec.title}", f"Outputs: {shown}" if shown else None)
        self.chooses_outputs = bool(outputs) and "*" not in spec.outputs
        self.result = self._result([self._value(kind) for kind in outputs.values()])
        self.parameters = self._call_parameters()

    @property
    def public(self) -> list[str]:
        """Return the names that authors import."""
        kinds = [
            "Config",
            *(["Secrets"] if self.secrets else []),
            *(["ConfigDict", "Task"] if self.makes_tasks else []),
        ]
        return [f"{self.stem}{kind}" for kind in kinds]

    @property
    def bases(self) -> str:
        """Return the base class; generic in what a call returns if a task may choose from the spec's outputs."""
        generic = f", _t.Generic[_{self.stem}_result]" if self.chooses_outputs else ""
        return f"_plugin.YamlConnectorTask{generic}"

    @property
    def returns(self) -> str:
        """Return the annotation of what a call returns."""
        result = f"_{self.stem}_result" if self.chooses_outputs else _ANY if "*" in self.spec.outputs else "None"
        return f"_Coroutine[{_ANY}, {_ANY}, {result}]"

    @property
    def constructors(self) -> list[tuple[str, str]]:
        """Return the annotations of `self` and `outputs` for each constructor; that of `self` is "" if there is one."""
        mapping = f"_Mapping[{self.b}str, {_ANY}]"
        if not self.chooses_outputs:
            return [("", f"{mapping} | None = None")]
        return [(f": {self.stem}Task[{self.result}]", "None = None"), (f": {self.stem}Task[{_ANY}]", mapping)]

    @property
    def options(self) -> str:
        """Return the annotation of further arguments; a secret may have the name of one of these."""
        hidden = set(self.spec.secrets) & set(TaskOptions.__annotations__)
        return _ANY if hidden else "_t.Unpack[_typed.TaskOptions]"

    def _field(self, name: str, field: ConfigField) -> _Field:
        annotation = self._config_type(field)
        required = f"_t.Required[{annotation}]" if field.required else annotation
        default = "" if field.required else f" = {self._default(field)}"
        given = "required" if field.required else f"default {python_literal(field.default)}"
        rules = [str(field.type), given, *limits_of(field)]
        return _Field(name, _sentences(field.description, ", ".join(rules)), annotation, required, default)

    def _default(self, field: ConfigField) -> str:
        if isinstance(field.default, list | dict):
            return f"_dc.field(default_factory={self.b}{type(field.default).__name__})"
        return python_literal(field.default)

    def _config_type(self, field: ConfigField) -> str:
        values = [value for value in field.enum or [] if value is not None]
        if values and field.type.name in ("str", "int", "bool"):
            literal = f"_t.Literal[{', '.join(map(python_literal, values))}]"
            return f"{literal} | None" if field.type.optional else literal
        return self._given(field.type)

    def _given(self, kind: ValueType) -> str:
        """Return the annotation of what a config field of this type may be given."""
        return self._aliased(python_name(kind, "given"))

    def _value(self, kind: ValueType) -> str:
        """Return the annotation of an input or an output of this type."""
        return self._aliased(python_name(kind, "typed"))

    def _aliased(self, annotation: str) -> str:
        """Return an annotation with the names that the module imports."""

        def alias(found: re.Match[str]) -> str:
            module, _, name = found[0].rpartition(".")
            if not module and name != "Any":
                return self.b * (name in _BUILTINS) + name
            if module not in _ALIASES:
                self.modules[module] = "_" + module.replace(".", "_")
            return f"{_ALIASES.get(module) or self.modules[module] + '.'}{name}"

        return re.sub(r"[A-Za-z_][\w.]*", alias, annotation)

    def _result(self, types: list[str]) -> str:
        return types[0] if len(types) == 1 else f"{self.b}tuple[{', '.join(types)}]" if types else "None"

    def _call_parameters(self) -> list[str]:
        inputs = self.spec.inputs
        if inputs is None or any(keyword.iskeyword(name) or name == "self" or name[:2] == "__" for name in inputs):
            return [f"*args: {_ANY}", f"**kwargs: {_ANY}"]
        optional = [field.type.optional for field in inputs.values()]
        parameters = [] if optional == sorted(optional) else ["*"]
        for name, field in inputs.items():
            default = " = None" if field.type.optional else ""
            parameters.append(f"{name}: {self._value(field.type)}{default}")
        return parameters


def _sentences(*texts: str | None) -> str:
    """Join the texts that are not empty, each as a sentence."""
    joined = (text.strip() for text in texts if text)
    return " ".join(text if text.endswith((".", "!", "?", ":")) else f"{text}." for text in joined if text)


def _docstring(text: str, indent: int) -> str:
    """Return a docstring of this text, with lines below the first indented."""
    text = " ".join(printable(text).split())
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = textwrap.wrap(escaped, _WIDTH - indent - 6, break_long_words=False, break_on_hyphens=False)
    if len(lines) <= 1:
        return f'"""{escaped}"""'
    return f"\n{' ' * indent}".join(['"""' + lines[0], *lines[1:], '"""'])
