"""The old name of `yaml_connector.flyte.service`, which `c0 --modules` may still be given."""

import yaml_connector.flyte.service as service  # noqa: F401  # importing it registers the specs
