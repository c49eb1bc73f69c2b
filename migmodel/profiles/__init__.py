"""Profiles of hosts that come with migmodel."""
