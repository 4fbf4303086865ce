"""Operations of a SavedModel, and the TensorFlow Serving that has them all."""
