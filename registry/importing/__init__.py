"""Brings what other registries hold into this one."""
