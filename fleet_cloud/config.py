"""Settings of the fleet cloud, one TOML file."""
