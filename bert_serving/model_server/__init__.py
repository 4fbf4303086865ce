"""An embedded server that speaks TensorFlow Serving's wire API."""
