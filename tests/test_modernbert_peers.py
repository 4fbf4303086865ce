"""ModernBERT classifiers that transformers makes and answers with: the same token ids and logits here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.modernbert import BIASES, OF_TRANSFORMERS_5, configuration

from bert_serving.contract import Head
from bert_serving.hugging_face import convert_classifier

pytestmark = pytest.mark.peers

LIMIT = 48
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
WORDS = "the film is not very good, the bike's wheel was bad! naïve café 很快 emoji 😀 don't 100% well-made"
# No words; fewer than a window; more; beyond the limit.
TEXTS = ["", "good", "The film is good.", "naïve café,\n很快 😀  don't", "x" * 30, f"{WORDS} " * 3, "bad " * 200]
SECOND = ["", "not bad", "good " * 100, "film", "", "the bike", "very " * 100]
PROBLEMS = {
    "single_label_classification": (Head.SOFTMAX, ["a", "b", "c"]),
    "multi_label_classification": (Head.MULTILABEL, ["a", "b", "c"]),
    "regression": (Head.REGRESSION, ["score"]),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "cls": {},
    "mean": {"classifier_pooling": "mean"},
    "biases": BIASES,
    "kinds_of_layers": {key: value for key, value in OF_TRANSFORMERS_5.items() if value is not ...},
}


def byte_level_tokenizer(size: int) -> Any:
    """A tokenizer of ModernBERT's parts, learned from a few words."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS] * 3, trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LIMIT,
        model_input_names=["input_ids", "attention_mask"],
        **dict(zip(("pad_token", "cls_token", "sep_token", "unk_token", "mask_token"), SPECIAL, strict=True)),
    )


def network(folder: Path, size: int, problem: str, changes: dict[str, Any]) -> Any:
    """A random classifier, saved in `folder`."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    labels = PROBLEMS[problem][1]
    config = transformers.AutoConfig.for_model(
        **configuration(**{"vocab_size": size, **changes}),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        problem_type=problem,
    )
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    # Fresh weights are small; larger ones let a slip show.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    ("problem", "variant", "pairs"),
    [
        *((problem, "cls", pairs) for problem in PROBLEMS for pairs in (False, True)),
        *(("single_label_classification", variant, False) for variant in VARIANTS if variant != "cls"),
    ],
)
def test_token_ids_and_logits_are_those_of_transformers(tmp_path, problem, variant, pairs):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder = tmp_path / "model"
    tokenizer = byte_level_tokenizer(300)
    network(folder, 304, problem, VARIANTS[variant])
    tokenizer.save_pretrained(folder)
    classifier = convert_classifier(folder, tmp_path / "scratch", pairs=pairs).classifier
    assert (classifier.options.head, classifier.options.sequence_length) == (PROBLEMS[problem][0], LIMIT)
    texts = (TEXTS, SECOND) if pairs else (TEXTS,)
    encoded = tokenizer(*texts, padding=True, truncation=True, return_tensors="pt")
    rows, _ = classifier.tokenize(*texts)
    if not pairs:
        # An odd token of a cut pair goes to the second text there, to the first here.
        theirs = [ids[mask == 1].tolist() for ids, mask in zip(*encoded.values(), strict=True)]
        assert [row.tolist() for row in np.split(rows.words, rows.offsets[1:-1])] == theirs
    batch = {name: torch.tensor(value) for name, value in _padded(rows).items()}
    for attention in ("eager", "sdpa"):
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation=attention)
        with torch.no_grad():
            logits = model.eval()(**batch).logits.numpy()
        np.testing.assert_allclose(classifier.predict_tokens(rows), logits, atol=1e-5, rtol=0)


def _padded(rows: Any) -> dict[str, np.ndarray]:
    lengths = np.diff(rows.offsets)
    ids = np.full((len(lengths), lengths.max()), rows.padding, np.int64)
    mask = np.arange(lengths.max()) < lengths[:, np.newaxis]
    ids[mask] = rows.words
    return {"input_ids": ids, "attention_mask": mask.astype(np.int64)}


def test_a_former_configuration_is_read_as_transformers_reads_it(tmp_path):
    """The keys that transformers 4 wrote, which published models have."""
    transformers = pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps(configuration()), "utf-8")
    read = transformers.AutoConfig.from_pretrained(tmp_path)
    kinds = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
    assert (read.layer_types, read.sliding_window) == (kinds, 4)
    thetas = [read.rope_parameters[kind]["rope_theta"] for kind in ("full_attention", "sliding_attention")]
    assert thetas == [160_000.0, 10_000.0]
