"""Telemetry of training runs: the fields of the log, its writer and reader, validation, watch and summary."""
