"""Models in any form: a run folder, a SavedModel, or a served model, opened by name and used alike."""
