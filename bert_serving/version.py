"""The version of this package, in a file of its own.

`bert_serving/__init__.py` may be that of another package: bert-serving-client and bert-serving-server
(bert-as-service) install a file of that name, too.
"""

__version__ = "0.2.0"
