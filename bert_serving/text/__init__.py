"""Text to token ids: vocabulary and preprocessing SavedModel."""
