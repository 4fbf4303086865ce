"""Commands that analyze a trained model."""
