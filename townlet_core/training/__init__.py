"""Training runs: settings, data, the loop, telemetry, checkpoints and the run directory."""
