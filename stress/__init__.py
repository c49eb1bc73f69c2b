"""The guests that are migrated, and their builder."""
