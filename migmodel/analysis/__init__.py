"""What users ask: predict, sweep, compare."""
