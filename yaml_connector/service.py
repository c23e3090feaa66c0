"""The old name of `yaml_connector.flyte.service`, which `c0 --modules` may still be given."""

from yaml_connector.flyte.service import start as start
