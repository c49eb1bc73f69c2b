"""Predictions set against real migrations."""
