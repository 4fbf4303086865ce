"""Records what transformers answers for the folders of `support.hugging_face_folders`: `classifiers.json` beside this file.

PYTHONPATH=tests:. python tests/recorded/record_classifiers.py FOLDERS --write       makes a folder for each family
PYTHONPATH=tests:. python tests/recorded/record_classifiers.py FOLDERS               records; needs torch and transformers
PYTHONPATH=tests:. python tests/recorded/record_classifiers.py FOLDERS --compare     prints the differences of the exports
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

TARGET = Path(__file__).with_name("classifiers.json")


def write(folders: Path) -> None:
    """Makes the folders."""
    from support.hugging_face_folders import CLASSES, write_fine_tuned

    for model_type in CLASSES:
        write_fine_tuned(folders / model_type, model_type)


def record(folders: Path) -> None:
    """Asks transformers."""
    import transformers
    from support.classifier_answers import transformers_answers

    found = {
        folder.name: {kind: transformers_answers(folder, pairs=kind == "pairs") for kind in ("singles", "pairs")}
        for folder in sorted(folders.iterdir())
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(answers)}" for name, answers in found.items())
    TARGET.write_text(f'{{"transformers": "{transformers.__version__}", "answers": {{\n{lines}\n}}}}\n', "utf-8")


def compare(folders: Path) -> None:
    """Prints, for each family, the largest difference of logits in memory and in its export, and what the export needs."""
    import numpy as np
    from support.classifier_answers import SECOND, TEXTS, our_answers

    import bert_serving as bs
    from bert_serving import contract
    from bert_serving.hugging_face import convert_classifier
    from bert_serving.saved_model.reader import ExportedModel

    for name, recorded in json.loads(TARGET.read_text("utf-8"))["answers"].items():
        for kind, expected in recorded.items():
            pairs = kind == "pairs"
            with TemporaryDirectory() as scratch:
                converted = convert_classifier(
                    folders / name, Path(scratch), sequence_length=32, pairs=pairs
                ).classifier
                found = our_answers(converted, pairs=pairs)
                written = bs.export(folders / name, to=Path(scratch) / "to", sequence_length=32, pairs=pairs)
                texts = {"text": list(TEXTS)} | ({"text_pair": list(SECOND)} if pairs else {})
                served = ExportedModel(written.path).call(contract.SERVING_DEFAULT, **texts)[contract.LOGITS]
                manifest = written.manifest
            memory, export = (
                float(np.abs(np.subtract(logits, expected["logits"])).max()) for logits in (found["logits"], served)
            )
            same = found["ids"] == expected["ids"]
            print(
                f"{name:12} {kind:8} ids {'equal' if same else 'DIFFER'}  logits {memory:.1e}, of the {manifest.graph} export "
                f"{export:.1e}, TensorFlow Serving {manifest.oldest_tf_serving}"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", type=Path)
    parser.add_argument("--write", action="store_true", help="make the folders")
    parser.add_argument("--compare", action="store_true", help="compare conversions and exports with the record")
    arguments = parser.parse_args()
    (write if arguments.write else compare if arguments.compare else record)(arguments.folders)
