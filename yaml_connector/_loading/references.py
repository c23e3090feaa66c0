"""Which names an expression can see, by its place in the spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yaml_connector._expressions.jinja import REQUEST, Reference
from yaml_connector._expressions.lint import FUNCTIONS
from yaml_connector._expressions.scope import RESPONSE_NAMES
from yaml_connector._loading.suggestions import meant_by
from yaml_connector._loading.words import snake
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.requests import Step
from yaml_connector._spec.task_fields import TASK_NAMES
from yaml_connector._text import closest, did_you_mean, short, short_name

# Names that people expect at other places, or write as other languages do.
_ELSEWHERE = {
    **dict.fromkeys(("null", "nil", "undefined", "NULL", "Null"), "; write none"),
    **{word: f"; write {word.lower()}" for word in ("TRUE", "FALSE", "NONE")},
    "env": "; env is for connection alone: declare a secret with that variable as its env, or a config field",
    "job": "; the job has no id before it is submitted: use task.key to name it",
    "secrets": "; secrets can be used in requests alone",
}
ANSWER_NAMES = RESPONSE_NAMES
STEP_NAMES = ("status", "headers", "body", "text", "url")
_MOST = 10  # unknown sections that are looked at
Children = Mapping[str, Any] | None  # what may follow a name; None: anything


@dataclass(frozen=True)
class Names:
    """The names that can be seen at one place, each with what may follow it."""

    roots: dict[str, Children] = field(default_factory=dict)

    def plus(self, *more: str, **children: Children) -> Names:
        """Return these names and more."""
        return Names({**self.roots, **dict.fromkeys(more), **children})

    def full(self, name: str) -> str:
        """Return `job.id` for `id`, `job_id`, `JOB_ID` or `params.id`, if only one value of the job, input, config
        field or secret is called so; else the name as it is."""
        if self.has(name):
            return name
        known = [f"{root}.{child}" for root in _NAMED for child in self.roots.get(root) or ()]
        first, _, rest = name.partition(".")
        for word in (snake(name.replace(".", "_")), snake(rest) if rest and first not in self.roots else ""):
            meant = [full for full in known if full.endswith(f".{word}") or full.replace(".", "_") == word]
            if len(meant) == 1 and word not in self.roots:
                return meant[0]
        return name

    def has(self, name: str) -> bool:
        """Tell whether a chain of names, as `inputs.scene`, is surely one of those that can be seen."""
        first, *rest = name.split(".")
        children = self.roots.get(first)
        return bool(rest) and children is not None and rest[0] in children

    def unknown(self, references: Iterable[Reference]) -> list[str]:
        """Return a message for each reference to something that is not there."""
        messages = []
        for reference in sorted(references, key=str):
            root = str(reference[0])
            if root in REQUEST.globals:
                continue
            if root not in self.roots:
                messages.append(f"{short(root)} cannot be used here{self._instead(root, reference)}")
                continue
            children: Any = self.roots[root]
            shown = root
            for part in reference[1:]:
                if children is None:
                    break
                if part not in children:
                    messages.append(f"there is no {shown}.{short_name(str(part))}{self._other(shown, part, children)}")
                    break
                shown += f".{short_name(str(part))}"
                children = children[part]
        return messages

    def _instead(self, root: str, reference: Reference) -> str:
        """Return the end of the message about a name that cannot be seen."""
        if "jobs" not in self.roots and (told := _ELSEWHERE.get(root)) is not None:
            return told
        if (call := FUNCTIONS.get(root)) is not None and len(reference) == 1:
            return f"; write {call.replace('NAME', 'x').replace('FILTER', root)}"
        whole = ".".join(map(str, reference))
        meant = self.full(whole)
        if meant == whole:
            words = _ROOTS.get(snake(root), ())
            meant = next((word for word in words if word in self.roots), "")
        if not meant and "body" in self.roots and (closest(root, self.roots) or "?")[0] != root[0]:
            meant = f"body.{short_name(root)}"
        known = f" here there is: {', '.join(self.roots)}"
        return f"; did you mean {meant}?{known}" if meant else did_you_mean(root, self.roots, what="here there is")

    def _other(self, owner: str, part: Any, children: Mapping[str, Any]) -> str:
        """Return the end of the message about a field that its owner does not have."""
        if owner == "steps" and not children:
            return "; no step is before this one: what create's steps gave is kept by create.save, as job.NAME"
        words = (*_CHILDREN.get(owner.partition(".")[0], {}).get(str(part), ()), f"saved.{part}")
        saved = children.get("saved") if owner.startswith("steps.") else None
        for word in words:
            head, _, rest = word.partition(".")
            if head in children and (not rest or rest in (saved or ())):
                return f"; did you mean {owner}.{word}? there is: {', '.join(map(str, children))}"
        return did_you_mean(str(part), children, what="there is")


# What other tools call the names, by the names that may be meant.
_NAMED = ("job", "inputs", "config", "secrets")
_ROOTS = {
    **dict.fromkeys(("params", "args", "arguments", "parameters", "variables", "vars"), ("inputs", "config")),
    **dict.fromkeys(("response", "resp", "result", "data", "json", "payload", "output"), ("body",)),
    **dict.fromkeys(("env", "environment"), ("env",)),
    **dict.fromkeys(("code", "http_status", "status_code"), ("status",)),
    **dict.fromkeys(("execution", "context", "run", "workflow", "ti", "dag_run"), ("task",)),
    **dict.fromkeys(("row", "element", "each", "it", "task_item"), ("item",)),
    **dict.fromkeys(("this", "self"), ("job",)),
}
_CHILDREN: dict[str, dict[str, tuple[str, ...]]] = {
    "task": {
        **dict.fromkeys(("id", "uuid", "unique_id", "idempotency_key", "uid"), ("key",)),
        **dict.fromkeys(("run_id", "execution", "run"), ("execution_id",)),
        **dict.fromkeys(("retry", "retries", "try_number", "attempt_number"), ("attempt",)),
        "image": ("container",),
    },
    "job": dict.fromkeys(("job_id", "name", "run_id", "uuid"), ("id",)),
    "steps": dict.fromkeys(("json", "response", "result", "data", "output"), ("body",)),
}


def saved_names(save: Any) -> Children:
    """Return the names that a `save` keeps, or None if only a run can tell."""
    return dict.fromkeys(save) if isinstance(save, dict) else {} if save is None else None


def step_names(steps: Iterable[Step]) -> dict[str, Children]:
    """Return the names below `steps` that the steps after these see."""
    return {
        step.name: None if step.each is not None else {**dict.fromkeys(STEP_NAMES), "saved": saved_names(step.save)}
        for step in steps
        if step.name
    }


class SpecNames:
    """The names of one spec, by place. `written` is the file's data if the spec is only what is valid of it."""

    def __init__(self, spec: ConnectorSpec, written: Mapping[str, Any] | None = None) -> None:
        unsure = _unsure(spec, written) if written is not None else frozenset()
        config: Children = None if "config" in unsure else dict.fromkeys(spec.config)
        inputs = None if spec.inputs is None else dict.fromkeys(spec.inputs)
        secrets: Children = None if "secrets" in unsure else dict.fromkeys(spec.secrets)
        kept = saved_names(spec.create.save)
        adopted = saved_names(spec.create.adopt.save) if spec.create.adopt else {}
        job = (
            None
            if kept is None or adopted is None
            else {"id": None, "created_at": None, "cancelled": None, **kept, **adopted}
        )
        self.connection = Names({"config": config, "secrets": secrets, "env": None})
        self.base = Names({"inputs": inputs, "config": config, "base_url": None, "task": TASK_NAMES})
        if spec.runs is not None:
            del self.base.roots["inputs"]
        saved = saved_names(getattr(spec.connection.auth, "save", None))
        self.only_sent: dict[str, Children] = {"secrets": secrets, **({"auth": saved} if saved else {})}
        self.job: Children = job


def _unsure(spec: ConnectorSpec, written: Mapping[str, Any]) -> frozenset[str]:
    """Return the sections that a file probably has, though not in a valid form: elsewhere, or by another name."""
    fields = ConnectorSpec.model_fields
    others = [(key, value) for key, value in written.items() if key not in fields and isinstance(value, dict) and value]
    meant = {meant_by((key,), value, fields, written) or closest(str(key), fields) for key, value in others[:_MOST]}
    inner = {key for value in written.values() if isinstance(value, dict) for key in value}
    return frozenset(
        name
        for name in ("config", "secrets")
        if name not in spec.model_fields_set and (name in written or name in inner or {name, None} & meant)
    )
