"""Values: expressions, templates, JSONPath, extractions and types. Pure: no files, no network, no Flyte."""
