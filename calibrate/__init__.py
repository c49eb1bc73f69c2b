"""Measures a host and fits its profile."""
