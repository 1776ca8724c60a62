"""YAML that people write, within one set of bounds: scenarios, configuration, alert rules and manifests."""
