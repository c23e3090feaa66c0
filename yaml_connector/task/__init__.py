"""Old names: only modules that an older `yaml-connector stubs` wrote import this package."""
