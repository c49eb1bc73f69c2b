"""Drives real QEMU."""
