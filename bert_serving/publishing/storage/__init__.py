"""Folders and object storages that hold published versions."""
