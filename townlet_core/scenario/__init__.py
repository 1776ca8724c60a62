"""Scenario files: the model, loading and validation with line and column of every mistake."""
