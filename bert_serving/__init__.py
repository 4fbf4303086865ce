"""From labeled text to a BERT classifier answering on TensorFlow Serving.

The package is imported without TensorFlow; modules that need it import it themselves.
"""

from bert_serving.version import __version__ as __version__
