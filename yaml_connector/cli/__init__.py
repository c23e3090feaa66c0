"""The command `yaml-connector` (section 11): one module a command, one line for each in `main`."""
