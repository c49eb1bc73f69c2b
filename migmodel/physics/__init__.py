"""The physics of a migration: pure functions of numbers."""
