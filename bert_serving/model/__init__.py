"""Models opened by name: a run folder, a SavedModel, or a model on a server."""
