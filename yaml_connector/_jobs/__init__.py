"""A job's life, driven by a spec, without Flyte: create, get, delete, logs (sections 5 and 7 to 9)."""
