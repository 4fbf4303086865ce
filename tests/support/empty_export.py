"""The files of an export without a model in them."""

import random

from bert_serving import contract
from bert_serving.saved_model.manifest import EncoderOrigin, Manifest


def write_export(folder, *, version=2, seed=0):
    """The files of an export without a model in them: what copying looks at."""
    content = random.Random(seed)
    (folder / contract.EXTRA_FOLDER).mkdir(parents=True)
    (folder / "variables").mkdir()
    (folder / "assets").mkdir()
    for name in (
        "saved_model.pb",
        "variables/variables.index",
        "assets/vocab.txt",
        "assets/labels.txt",
        contract.CARD_FILE,
    ):
        (folder / name).write_bytes(content.randbytes(2_000))
    (folder / "variables/variables.data-00000-of-00001").write_bytes(content.randbytes(1_500_000))
    Manifest(
        name="tiny",
        version=version,
        created="2026-11-01T00:00:00+00:00",
        head="softmax",
        labels=("a", "b"),
        pairs=False,
        sequence_length=16,
        graph="ragged",
        precision="float32",
        encoder=EncoderOrigin(name="x", sha256="0"),
        versions={},
        metrics={"accuracy": 0.9, "macro_f1": 0.8},
        minimum_tf_serving="2.12",
    ).save(folder)
    return folder
