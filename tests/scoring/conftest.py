"""An export that refuses some texts."""

import shutil
from pathlib import Path

import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def refusing(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export with an assertion before it, which fails for every batch that holds the word poison."""
    target = tmp_path_factory.mktemp("refusing") / "1"
    model = tf.saved_model.load(str(exported))

    class Refusing(tf.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def serving_default(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            is_harmless = tf.logical_not(tf.strings.regex_full_match(text, ".*poison.*"))
            with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(is_harmless), ["poison"])]):
                return self.model.signatures["serving_default"](text=tf.identity(text))

    module = Refusing()
    tf.saved_model.save(module, str(target), signatures={"serving_default": module.serving_default})
    shutil.copytree(exported / "assets.extra", target / "assets.extra", dirs_exist_ok=True)
    return target
