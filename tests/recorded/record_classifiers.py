"""Records what transformers answers for the folders of `support.hugging_face_folders`: `classifiers.json` beside this file.

PYTHONPATH=tests:. python tests/recorded/record_classifiers.py FOLDERS     (needs torch and transformers)

FOLDERS holds the folders that `write_fine_tuned` makes, one for each family, which need TensorFlow; `--write` makes them:

PYTHONPATH=tests:. python tests/recorded/record_classifiers.py FOLDERS --write
"""

import argparse
import json
from pathlib import Path

TARGET = Path(__file__).with_name("classifiers.json")

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", type=Path)
    parser.add_argument("--write", action="store_true", help="make the folders")
    arguments = parser.parse_args()
    if arguments.write:
        from support.hugging_face_folders import CLASSES, write_fine_tuned

        for model_type in CLASSES:
            write_fine_tuned(arguments.folders / model_type, model_type)
    else:
        import transformers
        from support.classifier_answers import transformers_answers

        found = {
            folder.name: {kind: transformers_answers(folder, pairs=kind == "pairs") for kind in ("singles", "pairs")}
            for folder in sorted(arguments.folders.iterdir())
        }
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(answers)}" for name, answers in found.items())
        TARGET.write_text(f'{{"transformers": "{transformers.__version__}", "answers": {{\n{lines}\n}}}}\n', "utf-8")
