"""An export scores texts of all lengths as it does one at a time, and a text that it refuses costs only itself."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from bert_serving.errors import ExportError, InputError
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.scoring.model_files import check_digest, find_model
from bert_serving.scoring.scorer import Scorer

TEXTS = [*[" ".join(["good film"] * number) for number in range(1, 40)], "bad " * 5000, "the bike", "x" * 100_000]


def test_texts_are_scored_in_their_order_whatever_the_batches(exported: Path):
    alone = ExportedModel(exported)
    expected = np.concatenate([alone.predict([text]) for text in TEXTS])
    for batch_tokens in (1, 64, 4096):
        scores = Scorer(alone, batch_tokens=batch_tokens).score(TEXTS)
        assert not scores.failures, batch_tokens
        np.testing.assert_allclose(scores.values, expected, atol=2e-6)
    assert Scorer(alone).score([]).values.shape == (0, 2)


def test_texts_that_the_model_refuses_cost_only_themselves(refusing: Path, exported: Path):
    texts = [f"good {'poison' if number % 10 == 3 else 'film'} {number}" for number in range(60)]
    scores = Scorer.load(refusing).score(texts)
    assert sorted(scores.failures) == [number for number in range(60) if number % 10 == 3]
    assert all(reason.startswith("the model refuses it: ") for reason in scores.failures.values())
    others = [number for number in range(60) if number not in scores.failures]
    expected = ExportedModel(exported).predict([texts[number] for number in others])
    np.testing.assert_allclose(scores.values[others], expected, atol=2e-6)
    assert np.isnan(scores.values[list(scores.failures)]).all()


def test_a_model_whose_files_changed_is_not_loaded(exported: Path, tmp_path: Path):
    shutil.copytree(exported, tmp_path / "1")
    files = find_model(str(tmp_path))
    check_digest(tmp_path / "1", files.digest)
    variables = next((tmp_path / "1" / "variables").glob("*.data-*"))
    variables.write_bytes(variables.read_bytes()[:-1])
    with pytest.raises(ExportError, match="its files changed since the job began"):
        check_digest(tmp_path / "1", files.digest)


def test_what_is_no_export_is_refused_with_what_to_do(trained, tmp_path: Path):
    cases = {
        "grpc://localhost:8500/tiny": (InputError, "is a server's address"),
        str(trained.run.path): (InputError, "is a run folder; export it first"),
        str(tmp_path / "missing"): (ExportError, "no such folder"),
        str(tmp_path): (ExportError, "neither a SavedModel nor a folder of versions"),
    }
    for model, (error, message) in cases.items():
        with pytest.raises(error, match=message):
            find_model(model)
