"""Spec files of the largest size, each hard to load in its own way.

``python -m tests.unit.loading.large_files [NAME ...]`` loads them and prints, as JSON, what each took: seconds of CPU,
MiB at
the peak of the process so far, problems.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yaml_connector._loading.loader import load_text

SIZE = 2**20
BASE: dict[str, Any] = {
    "spec_version": 1,
    "task_type_name": "batch_job",
    "connection": {"base_url": "https://api.test"},
    "create": {"request": {"method": "POST", "path": "/jobs"}, "idempotent": True, "job_id": "$.id"},
    "get": {
        "request": "GET /jobs/${{ job.id }}",
        "phase": {"path": "$.state", "map": {"SUCCEEDED": ["done"], "FAILED": ["error"]}},
    },
}


def spec(**sections: Any) -> str:
    """The spec with these sections in place of its own; JSON is YAML."""
    return json.dumps({**BASE, **sections}, ensure_ascii=False)


def many(number: int, make: Callable[[int], Any], name: str = "n") -> dict[str, Any]:
    """A mapping of so many names."""
    return {f"{name}{index}": make(index) for index in range(number)}


def deleting(path: str) -> str:
    return spec(delete={"request": {"method": "DELETE", "path": path}})


def getting(**fields: Any) -> str:
    return spec(get={**BASE["get"], **fields})


def aliased(value: str, number: int) -> str:
    """A spec in which one value stands again and again."""
    lines = "\n".join(f"    k{index}: *a" for index in range(number))
    return (
        f"spec_version: 1\ntask_type_name: t\ndescription: &a {value}\nconnection: {{base_url: 'https://a.test'}}\n"
        f"create:\n  request: POST /jobs\n  job_id: $.id\n  save:\n{lines}\n"
    )


LARGE: dict[str, Callable[[], str]] = {
    # mistakes by the thousand
    "unknown keys": lambda: spec(**many(70_000, lambda _: 1)),
    "unknown keys in a file that is checked as far as it is valid": lambda: spec(**many(10_000, lambda _: 1)),
    "steps in such a file": lambda: spec(delete={"steps": [{"nothing": 1}] * 9_000}),
    "unknown keys alone": lambda: json.dumps(many(70_000, lambda _: 1)),
    "unknown keys of fields": lambda: spec(config=many(35_000, lambda _: {"typ": "str"})),
    "one key again and again": lambda: "a: b\n" * 200_000,
    "unknown types": lambda: spec(config=many(50_000, lambda index: f"t{index}")),
    "bad statuses": lambda: spec(delete={"request": "DELETE /x", "success": [f"y{n}" for n in range(80_000)]}),
    "bad durations": lambda: spec(delete={"steps": [{"request": "POST /x", "follow_for": "9"}] * 20_000}),
    "bad values of unions": lambda: spec(delete={"steps": [{"request": "POST /x", "if": 1}] * 25_000}),
    "bad rules": lambda: getting(phase=[{"pth": "$.s"}] * 60_000),
    "bad paths": lambda: spec(outputs=many(40_000, lambda _: "$.a[")),
    "different bad paths": lambda: spec(outputs=many(35_000, lambda index: f"$.a{index}[")),
    "bad templates": lambda: deleting("${{ ( }}" * 100_000),
    "different bad templates": lambda: spec(outputs=many(30_000, lambda index: f"${{{{ ( {index} }}}}")),
    "open templates": lambda: deleting("${{ " * 250_000),
    "open quotes": lambda: deleting("${{ 'a }}" * 100_000),
    "names that are not there": lambda: spec(inputs={"name": "str"}, outputs=many(30_000, lambda _: "${{ inputs.x }}")),
    "names much like others": lambda: spec(
        inputs=many(10_000, lambda _: "str", "name"), outputs=many(2_000, lambda n: f"${{{{ inputs.nmae{n} }}}}")
    ),
    "names among many": lambda: spec(
        inputs=many(30_000, lambda _: "str"), outputs=many(10_000, lambda index: f"${{{{ inputs.m{index} }}}}")
    ),
    "names of steps among many": lambda: spec(
        delete={"steps": [{"name": f"s{n}", "request": f"DELETE /${{{{ steps.t{n} }}}}"} for n in range(14_000)]}
    ),
    "names in one text": lambda: deleting("".join(f"${{{{x{index}}}}}" for index in range(80_000))),
    "bad names": lambda: spec(secrets=many(60_000, lambda _: {}, "a-")),
    "unused secrets": lambda: spec(secrets=many(60_000, lambda _: {})),
    "tags": lambda: "".join(f"a{index}: !x 1\n" for index in range(70_000)),
    # much of what is right
    "states": lambda: getting(phase=[{"path": "$.s", "map": {"FAILED": list(range(90_000))}}]),
    "steps": lambda: spec(delete={"steps": [{"name": f"s{n}", "request": "DELETE /x"} for n in range(22_000)]}),
    "different paths": lambda: spec(outputs=many(45_000, lambda index: f"$..a{index}")),
    "different templates": lambda: spec(outputs=many(25_000, lambda index: f"${{{{ body.a{index} | upper }}}}")),
    "different templates in one output": lambda: spec(
        outputs={"a": {"value": [f"${{{{ body.a{n} | upper }}}}" for n in range(30_000)]}}
    ),
    "different templates in one body": lambda: spec(
        delete={"request": {"method": "POST", "path": "/", "json": [f"${{{{ x.a{n} + 1 }}}}" for n in range(30_000)]}}
    ),
    "different paths in one output": lambda: getting(info={"a": {"b": [f"$..a{index}" for index in range(60_000)]}}),
    "different templates in one text": lambda: deleting("".join(f"${{{{x{n}+1}}}}" for n in range(70_000))),
    "long templates": lambda: spec(outputs=many(100, lambda index: "${{ " + f"a{index}" + "|a" * 4_900 + " }}")),
    "long sums": lambda: spec(outputs=many(100, lambda index: "${{ " + f"{index}" + "+1" * 4_900 + " }}")),
    "long lists": lambda: spec(outputs=many(100, lambda index: "${{ [" + f"{index}" + ",1" * 4_900 + "] }}")),
    "templates": lambda: deleting("${{ job.id }}" * 80_000),
    "numbers of many digits": lambda: spec(config=many(340, lambda _: {"type": "int", "default": 10**2_990})),
    "hexadecimal numbers": lambda: "".join(f"a{index}: 0x{'f' * 2_990}\n" for index in range(340)),
    "enum": lambda: spec(config={"a": {"type": "any", "enum": list(range(95_000)), "default": -1}}),
    # one huge thing
    "a long text": lambda: spec(name="x" * 1_000_000),
    "a long text that is no name": lambda: spec(task_type_name="é" * 500_000),
    "a long key": lambda: spec(**{"x" * 1_000_000: 1}),
    "long keys above mistakes": lambda: spec(config={"x" * 30_000 + str(index): "strr" for index in range(30)}),
    "a long number": lambda: "a: " + "9" * 1_000_000,
    "a long hexadecimal number": lambda: "a: 0x" + "f" * 1_000_000,
    "a long float": lambda: "a: 1." + "3" * 1_000_000,
    "a long duration": lambda: spec(connection={"base_url": "x", "timeout": "9" * 1_000_000 + "s"}),
    "a long path": lambda: getting(message="$" + ".a" * 500_000),
    "a long extended path": lambda: getting(message="$..a" + ".b" * 500_000),
    "brackets in a path": lambda: getting(message="$" + "[" * 1_000_000),
    "a deep type": lambda: spec(config={"a": "list[" * 200_000}),
    "a deep value": lambda: spec(create={**BASE["create"], "save": {"a": json.loads("[" * 90 + "]" * 90)}}),
    "deep values": lambda: spec(create={**BASE["create"], "save": {"a": [json.loads("[" * 90 + "]" * 90)] * 1_000}}),
    "lists of lists": lambda: json.dumps([["x"] * 300] * 300),
    "spaces before a mistake": lambda: "a: " + " " * 1_000_000 + "[}",
    "colons before a mistake": lambda: "a: " + ": '" * 300_000 + "\n[}",
    # aliases and anchors
    "a list of lists of aliases": lambda: "\n".join(
        ["a0: &a0 [x, x]"] + [f"a{level}: &a{level} [*a{level - 1}, *a{level - 1}]" for level in range(1, 60)]
    ),
    "a mapping of mappings of aliases": lambda: "\n".join(
        ["a0: &a0 {x: 1, y: 2}"] + [f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 60)]
    ),
    "a long text again and again": lambda: aliased("x" * 100_000, 50_000),
    "a bad template again and again": lambda: aliased("'" + "${{ ( }}" * 1_000 + "'", 50_000),
    "a long template again and again": lambda: aliased("'" + "${{ inputs.a }}" * 1_000 + "'", 50_000),
    "a short text again and again": lambda: aliased("x", 90_000),
    "anchors in anchors": lambda: "a: " + "&a [" * 95 + "x, " * 90_000,
    "anchors of one name": lambda: "a: [" + "&a x, " * 170_000,
    "an alias in its anchor": lambda: "a: &a [" + "*a, " * 200_000,
    # punctuation
    **{
        f"{sign!r} again and again": (lambda sign=sign: (sign * SIZE)[:SIZE])
        for sign in (
            *("[", "{", "{a: ", "- ", "- - ", "? ", "?\n", "-\n", "a:\n", ": ", ",", "[]", "&a", "&a ", "*a ", "!x "),
            *("'", "''", '"', '"\\\n', '"\\x41', "|", "> \n", "a: |\n", "%", "%YAML 1.2\n---\n", "---\n", "...\n", "#"),
            *("\n", "\r", "\t", "\x00", "\ufeff", "\u2028", "é", "a", "\\", "@", "`", "<<: "),
        )
    },
    "many attempts at depth": lambda: "a:\n" + "".join(f"{' ' * depth}a:\n" for depth in range(1_400)),
    "a long block": lambda: "a: |\n" + "  x\n" * 250_000,
}  # fmt: skip


def content(name: str) -> bytes:
    """One of the files, cut to the largest size there is."""
    return LARGE[name]().encode()[:SIZE]


def peak() -> int:
    """MiB at the peak of this process. (`ru_maxrss` begins with what the process that started this one had.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME")
    options.add_argument("--limit", type=int, metavar="MIB", help="of address space, besides what starting takes")
    given = options.parse_args()
    if given.limit:
        started_with = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (started_with + given.limit * SIZE, resource.RLIM_INFINITY))
    for name in given.names or LARGE:
        data = LARGE[name]().encode()[:SIZE]
        started = time.process_time()
        problems = load_text(data, "s.yaml")[1]
        report = {
            "seconds": round(time.process_time() - started, 3),
            "peak": peak(),
            "size": len(data),
            "problems": len(problems),
            "first": str(problems[0])[:120] if problems else "",
        }
        print(json.dumps({"name": name, **report}), flush=True)


if __name__ == "__main__":
    main()
