"""Explanations of long texts: sums over windows, the window that decided, and words between that were left out."""

import numpy as np
import pytest
from support.tiny import WORDS

from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier
from bert_serving.config import EncoderConfig
from bert_serving.contract import LongTexts, WindowPooling
from bert_serving.data.windows import WindowPlan
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.explanation.integrated_gradients import explain
from bert_serving.explanation.page import explain_page
from bert_serving.text.preprocessing import load_preprocessing

PLAN = WindowPlan(16, 2, 3)
LONG = " ".join(np.random.default_rng(1).choice(WORDS[:8], size=35))


@pytest.fixture(scope="module")
def folder(encoder_folder):
    return find_encoder_folder(EncoderConfig(path=encoder_folder))


def classifier_of(folder, **rule: object) -> Classifier:
    built = build_classifier(
        load_encoder(folder),
        load_preprocessing(folder.preprocessing),
        ClassifierOptions(("a", "b", "c"), sequence_length=16, **rule),
    )
    for variable in built.token_model.variables:
        if variable.name.startswith(("head", "window_pooling")):
            variable.assign(np.random.default_rng(5).normal(size=variable.shape))
    return built


@pytest.mark.parametrize("pooling", [WindowPooling.ATTENTION, pytest.param(WindowPooling.MEAN, marks=pytest.mark.slow)])
def test_attributions_over_all_windows_add_up(pooling, folder, tmp_path):
    classifier = classifier_of(folder, long_texts=LongTexts.WINDOWS, windows=PLAN, window_pooling=pooling)
    found = explain(classifier, LONG)
    assert found.is_complete
    assert found.cut_at is None
    assert all(word.attribution is not None for word in found.words)
    # 14 words in a window, of which 2 are in the next one, too.
    assert [(window.first, window.last) for window in found.windows] == [(0, 13), (12, 25), (24, 34)]
    weights = [window.weight for window in found.windows]
    if pooling is WindowPooling.ATTENTION:
        assert sum(weights) == pytest.approx(1)
        assert found.deciding == int(np.argmax(weights))
    else:
        assert weights == [None] * 3
        # The head is linear: the logit of the mean is the mean of the logits.
        logits = [window.logit for window in found.windows]
        assert np.mean(logits) == pytest.approx(found.logit, abs=1e-4)
        assert found.deciding == int(np.argmax(logits))
    assert classifier.predict_windows([LONG])[1].tolist() == [[found.deciding, 3]]
    alone = explain(classifier, " ".join(LONG.split()[12:26]), label=found.label)
    assert found.windows[1].logit == pytest.approx(alone.logit, abs=1e-4)
    assert alone.windows == ()
    assert alone.deciding is None
    explain_page(found, "tiny").write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert f"Windows of the text: window {found.deciding + 1} decided" in page


@pytest.mark.parametrize(
    ("rule", "read", "cut_at"),
    [
        ({"long_texts": LongTexts.HEAD_AND_TAIL}, [*range(4), *range(40, 50)], 16),
        (
            {"long_texts": LongTexts.WINDOWS, "windows": WindowPlan(16, 2, 2)},
            [*range(14), *range(36, 50)],
            28,
        ),
    ],
)
def test_words_that_are_not_read_have_no_attribution(rule, read, cut_at, folder):
    found = explain(classifier_of(folder, **rule), " ".join(["good"] * 50))
    assert [number for number, word in enumerate(found.words) if word.attribution is not None] == read
    assert found.cut_at == cut_at
    assert found.is_complete
