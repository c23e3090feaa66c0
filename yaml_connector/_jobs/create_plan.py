"""Compiles the `create` section of a spec."""

from __future__ import annotations

from dataclasses import dataclass

from yaml_connector._expressions.compile import (
    Extraction,
    Value,
    compile_extraction,
    compile_extractions,
    if_given,
    names_of,
)
from yaml_connector._expressions.jinja import Reference
from yaml_connector._http.json_need import needed_by
from yaml_connector._jobs.steps import StepsPlan, compile_step, compile_steps, read_step
from yaml_connector._spec.sections import Adopt, Create


@dataclass(frozen=True)
class SubmitPlan:
    """Steps whose response has the id of a job: those that submit it, or those that look it up."""

    steps: StepsPlan
    job_id: Extraction
    save: Value | None

    @property
    def names(self) -> frozenset[Reference]:
        return names_of(self.steps, self.job_id, self.save)


@dataclass(frozen=True)
class CreatePlan:
    """The compiled `create` section. Times are in seconds; `grace` is get's `not_found_grace`."""

    task_type: str
    idempotent_for: float
    tolerance: float
    grace: float
    submit: SubmitPlan
    adopt: SubmitPlan | None
    on_failure: tuple[StepsPlan, ...]
    names: frozenset[Reference]

    @property
    def is_repeatable(self) -> bool:
        return self.idempotent_for > 0 or self.adopt is not None


def compile_create(create: Create, task_type: str, grace: float) -> CreatePlan:
    """Compile a `create` section."""
    cleaning = [compile_step(step) for step in create.on_failure]
    submit = _compile_submit(create)
    adopt = if_given(_compile_submit, create.adopt)
    return CreatePlan(
        task_type=task_type,
        idempotent_for=create.idempotent_for,
        tolerance=create.tolerance,
        grace=grace,
        submit=submit,
        adopt=adopt,
        on_failure=tuple(StepsPlan((step,), None, step.names) for step in cleaning),
        names=names_of(submit, adopt, *cleaning),
    )


def _compile_submit(section: Create | Adopt) -> SubmitPlan:
    job_id = compile_extraction(section.job_id)
    return SubmitPlan(
        steps=compile_steps(section, own_save=False, json=needed_by(job_id, read_step(section))),
        job_id=job_id,
        save=if_given(compile_extractions, section.save),
    )
