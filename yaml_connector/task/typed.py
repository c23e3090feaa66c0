"""The old name of `yaml_connector.flyte.stub_runtime`, for modules that an older `yaml-connector stubs` wrote."""

from yaml_connector.flyte.stub_runtime import TaskOptions as TaskOptions
from yaml_connector.flyte.stub_runtime import names_of as names_of
