"""A job's life, driven by a spec, without Flyte: create, get, delete, logs."""
