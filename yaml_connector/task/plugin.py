"""The old name of `yaml_connector.flyte.task`, for modules that an older `yaml-connector stubs` wrote."""

from yaml_connector.flyte.task import YamlConnectorTask as YamlConnectorTask
