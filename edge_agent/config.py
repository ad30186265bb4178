"""Settings of the edge agent, one TOML file."""
