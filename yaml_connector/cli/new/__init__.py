"""`yaml-connector new`: a first spec and its contract test, from what a person has.

All sources fill one `Sketch` (`sketch.py`: the spec as data, questions, and calls for its test). Once `validate` and
`test` accept it, `checked.py` writes the files, by `render.py`:

    calls given on a terminal    draft.py ─────────────────────────┐
    an OpenAPI document          openapi/: calls, proposal, draft ─┤
    curl commands and answers    curl/: page, roles, build ────────┼─▶ Sketch ─▶ files_of ─▶ NAME.yaml, NAME.test.yaml
    an Arazzo workflow           arazzo/: source, plan, translate ─┘

A further source is a package with a function `sketch_of`, and an option in `command.py`. What the sources share:
`phases.py` (rules for states that were seen), `names.py` (names, which are of credentials, and what a state may mean),
`jsonpaths.py` (paths, and data that fits them), `openapi/document.py` (also for Arazzo).
"""
