"""Records what transformers makes of the folders of `support.tokenizer_folders`: `tokenizers.json` beside this file.

PYTHONPATH=tests python tests/recorded/record_tokenizers.py     (needs transformers; run with version 4, then with version 5)
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import transformers
from support.tokenizer_folders import READ, answers, write_folder

TARGET = Path(__file__).with_name("tokenizers.json")

if __name__ == "__main__":
    recorded = json.loads(TARGET.read_text("utf-8")) if TARGET.is_file() else {}
    with TemporaryDirectory() as scratch:
        found = {
            name: answers(
                transformers.AutoTokenizer.from_pretrained(
                    write_folder(Path(scratch, str(number)), files, model_type=model_type)
                )
            )
            for number, (name, (model_type, files)) in enumerate(READ.items())
        }
    # One record: both versions must give the same.
    if recorded and recorded["answers"] != found:
        differing = [name for name in found if recorded["answers"].get(name) != found[name]]
        raise SystemExit(f"transformers {transformers.__version__} differs: {differing}")
    versions = sorted({*recorded.get("versions", []), transformers.__version__})
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(answer)}" for name, answer in found.items())
    TARGET.write_text(f'{{"versions": {json.dumps(versions)}, "answers": {{\n{lines}\n}}}}\n', "utf-8")
