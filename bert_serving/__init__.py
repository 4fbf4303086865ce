"""From labeled text to a BERT classifier answering on TensorFlow Serving.

The package is imported without TensorFlow; modules that need it import it themselves.
"""

__version__ = "0.1.0"
