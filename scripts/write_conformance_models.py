"""Writes what the conformance tests ask a server for, and a models.config: python scripts/write_conformance_models.py FOLDER.

FOLDER/models.config    names the models, as a server finds them under --mounted (default: FOLDER itself)
FOLDER/exports/         an export of a tiny classifier for each serving graph and precision
FOLDER/...              models of the tests in tests/model_server/test_api.py
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

EXPORTS = (
    ("padded", "float32"),
    ("trimmed", "float32"),
    ("ragged", "float32"),
    ("ragged", "bfloat16"),
    ("ragged", "int8"),
)
# What a tiny classifier loses in 8 bits says nothing about one that is used.
LIMITS = {"max_metric_loss": 1.0, "max_log_loss_increase": 1.0, "max_mean_probability_difference": 1.0}


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mounted", help="path of FOLDER for the server")
    parser.add_argument("--tf-serving", default="2.20", help="release of the server, such as 2.12")
    arguments = parser.parse_args()
    from support import serving_models

    from bert_serving.cli.main import prepare_process

    prepare_process()
    serving_models.write_conformance_models(arguments.folder)
    exports = write_exports(arguments.folder, arguments.tf_serving)
    config = serving_models.CONFORMANCE_CONFIG.rstrip().removesuffix("}")
    for name in exports:
        config += (
            f'  config {{ name: "{name}" base_path: "/conformance/exports/{name}" model_platform: "tensorflow" }}\n'
        )
    config = (config + "}\n").replace("/conformance/", f"{arguments.mounted or arguments.folder.resolve()}/")
    (arguments.folder / "models.config").write_text(config, "utf-8")


def write_exports(folder: Path, tf_serving: str) -> list[str]:
    """Trains a tiny classifier, and writes the exports that a release of TensorFlow Serving loads; their names."""
    import numpy as np
    from support import tiny

    import bert_serving as bs
    from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
    from bert_serving.saved_model.options import too_old_for_int8

    work = folder / "work"
    work.mkdir(parents=True)
    tiny.write_hugging_face_folder(work / "hugging_face")
    convert_hugging_face(work / "hugging_face", work / "encoder")
    random = np.random.default_rng(1)
    words = [list(random.choice(["film", "bike", "the", "is", "very", "wheel"], size=5)) for _ in range(60)]
    rows = [(" ".join([*each, ("good", "bad")[n % 2]]), ("praise", "blame")[n % 2]) for n, each in enumerate(words)]
    run = bs.train(tiny.write_run_file(work, work / "encoder", rows), out=work / "run", progress=False)
    names = []
    for graph, precision in EXPORTS:
        if precision == "int8" and (reason := too_old_for_int8(tf_serving)):
            sys.stdout.write(f"left out: {reason}\n")
            continue
        names.append(f"{graph}_{precision}")
        settings: dict[str, object] = {"minimum_tf_serving": tf_serving}
        settings |= {} if precision == "float32" else LIMITS
        bs.export(run, folder / "exports", name=names[-1], graph=graph, precision=precision, progress=False, **settings)
    return names


if __name__ == "__main__":
    main()
