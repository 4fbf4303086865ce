"""Verification of a SavedModel: files, operations, signatures, and the same answers as the model in memory.

`python -m bert_serving.saved_model.verification.verify FOLDER` is the fresh process in which an export is verified, so that
nothing of the process that trained it is used by accident. It prints its verdict as JSON.
"""

# ruff: noqa: PLC0415
# The imports in functions bring TensorFlow, which the process that starts the fresh one does not need.

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_serving import contract
from bert_serving.answers import answer_texts
from bert_serving.contract import Head
from bert_serving.errors import BertServingError
from bert_serving.io.fresh_process import run_in_fresh_process
from bert_serving.saved_model.limits import AgreementLimits
from bert_serving.saved_model.manifest import Manifest, Verification, load_manifest
from bert_serving.saved_model.reference import Reference
from bert_serving.saved_model.verification.agreement import compare
from bert_serving.saved_model.verification.golden import Golden
from bert_serving.saved_model.verification.judgment import check_agreement, knob
from bert_serving.saved_model.verification.refusals import check_refusals

if TYPE_CHECKING:
    from bert_serving.saved_model.operations.audit import OperationAudit
    from bert_serving.saved_model.reader import ExportedModel

# Logits and pooled outputs are larger than probabilities and differ more.
_LOGIT_FACTOR = 12.5
_BATCH_SIZES = (0, 1, 7)
# Where a text may have more tokens than this, the longest text has batches of its own: it makes every row of a batch as long as
# itself, and a ModernBERT of 8,192 tokens takes more than half a minute for a row.
_LONG_SEQUENCE = 1024
# Exports of earlier versions are without it.
_OF_LATER_EXPORTS = (contract.LABELS,)


def verify(folder: Path, *, minimum_tf_serving: str | None = None, reference: Path | None = None) -> Verification:
    """Checks a SavedModel in this process.

    Args:
        folder: a version folder.
        minimum_tf_serving: refuse operations that this version of TensorFlow Serving lacks; None: that of the manifest.
        reference: a file of validation texts with the answers of the model in memory, and true labels where there are any.

    Raises:
        ExportError: the folder cannot be loaded at all.
    """
    from bert_serving.saved_model.operations.audit import audit_operations
    from bert_serving.saved_model.reader import ExportedModel

    audit = audit_operations(folder)
    manifest = load_manifest(folder)
    if manifest is None:
        return Verification(passed=False, problems=(f"{contract.MANIFEST_FILE} is missing",))
    problems = check_assets(folder, manifest) + check_kernels(folder)
    if refused := check_operations(audit, minimum_tf_serving or manifest.minimum_tf_serving):
        # Not loaded: loading would run unsafe operations.
        return Verification(passed=False, problems=(*problems, *refused), oldest_tf_serving=audit.oldest_tf_serving)
    model = ExportedModel(folder)
    problems += check_interface(model, manifest)
    problems += check_signature_table(folder)
    problems += check_labels(model, manifest) if not problems else []
    golden = Golden.load(folder)
    if problems or golden is None:
        problems += [] if golden else [f"{contract.GOLDEN_FILE} is missing"]
        return Verification(passed=False, problems=tuple(problems), oldest_tf_serving=audit.oldest_tf_serving)
    limits = manifest.limits or AgreementLimits.of(manifest.precision)
    answers = _Answers(model, golden, limits.golden(manifest.precision), manifest)
    problems = answers.problems()
    if manifest.max_tokens is not None:
        problems += check_refusals(model, manifest.max_tokens)
    agreement = None
    if reference is not None and not problems:
        agreement = compare(model, Reference.load(reference), manifest.head, manifest.labels, manifest.thresholds)
        problems = check_agreement(agreement, limits)
    return Verification(
        passed=not problems,
        problems=tuple(problems),
        golden_texts=len(golden.texts),
        max_probability_difference=answers.max_probability_difference,
        agreement=agreement,
        oldest_tf_serving=audit.oldest_tf_serving,
    )


def verify_in_fresh_process(
    folder: Path, *, minimum_tf_serving: str | None = None, reference: Path | None = None
) -> Verification:
    """Checks a SavedModel in a fresh process, as `verify`.

    Raises:
        VerificationError: the process ended without a verdict.
    """
    arguments = [
        str(folder),
        *(["--minimum", minimum_tf_serving] if minimum_tf_serving else []),
        *(["--reference", str(reference)] if reference else []),
    ]
    return run_in_fresh_process(
        "bert_serving.saved_model.verification.verify",
        arguments,
        parse=Verification.model_validate_json,
        subject=str(folder),
        task="verifying",
        gpu=False,  # which is left to the server
    )


# === Checks ===


def check_assets(folder: Path, manifest: Manifest) -> list[str]:
    """Problems with the files of the export other than the graph."""
    problems = [
        f"{name} is missing" for name in (contract.LABELS_ASSET, contract.WARMUP_FILE) if not (folder / name).is_file()
    ]
    labels = folder / contract.LABELS_ASSET
    if labels.is_file() and labels.read_bytes() != contract.labels_text(manifest.labels).encode():
        problems.append(f"{contract.LABELS_ASSET} does not hold the manifest's labels")
    if not [path for path in (folder / contract.ASSETS_FOLDER).glob("*") if path.name != contract.LABELS_FILE]:
        problems.append(f"{contract.ASSETS_FOLDER}/ holds no vocabulary")
    return problems


def check_operations(audit: "OperationAudit", minimum_tf_serving: str) -> list[str]:
    """Problems with the operations of the graph."""
    from bert_serving.saved_model.operations.versions import newest_known, oldest_known, version_key

    problems = []
    if audit.missing:
        problems.append(
            f"no stock TensorFlow Serving up to {newest_known()} has the operations {', '.join(audit.missing)}; "
            "export without the library that brings them"
        )
    floor = f"the floor is {minimum_tf_serving} (export.minimum_tf_serving)"
    if version_key(minimum_tf_serving) < version_key(oldest_known()):
        problems.append(f"{floor}; what servers before {oldest_known()} have is not recorded, raise it")
    elif newer := audit.needs_newer_than(minimum_tf_serving):
        problems.append(
            f"{', '.join(f'{need.what} needs TensorFlow Serving {need.version}' for need in newer)}; {floor}"
        )
    if audit.unsafe:
        unsafe = ", ".join(f"{name} ({reason})" for name, reason in audit.unsafe.items())
        problems.append(f"a server must not run {unsafe}")
    return problems


def check_kernels(folder: Path) -> list[str]:
    """Problems with the kernels of 8-bit products: whether they give the same answers on every processor."""
    from bert_serving.saved_model.operations.audit import count_saturating_kernels

    if not (count := count_saturating_kernels(folder)):
        return []
    return [f"{count} int8 kernels saturate on processors without VNNI, which changes answers; export again"]


def check_interface(model: "ExportedModel", manifest: Manifest) -> list[str]:
    """Differences between the signatures and the contract."""
    problems = []
    for name, (inputs, outputs) in expected_interface(manifest).items():
        function = model.signatures.get(name)
        if function is None:
            problems += [f"signature {name} is missing"] if name not in _OF_LATER_EXPORTS else []
            continue
        own_inputs = {key: _form(value) for key, value in function.structured_input_signature[1].items()}
        own_outputs = {key: _form(value) for key, value in function.structured_outputs.items()}
        if own_inputs != inputs:
            problems.append(f"signature {name} takes {own_inputs}, expected {inputs}")
        if own_outputs != outputs:
            problems.append(f"signature {name} returns {own_outputs}, expected {outputs}")
    return problems


def check_signature_table(folder: Path) -> list[str]:
    """Signatures that a server would miss: Python reads them from the loaded object, a server from the graph's table."""
    from bert_serving.saved_model.operations.audit import read_meta_graph

    table = read_meta_graph(folder).signature_def
    return [
        f"signature {name} is missing from {contract.GRAPH_FILE}'s table"
        for name in contract.SIGNATURES
        if name not in table and name not in _OF_LATER_EXPORTS
    ]


def check_labels(model: "ExportedModel", manifest: Manifest) -> list[str]:
    """Problems with the names and the head that the signature `labels` tells."""
    if contract.LABELS not in model.signatures:
        return []
    told = model.call(contract.LABELS, **{contract.TEXT: [b""]})
    labels = manifest.labels or (contract.REGRESSION_CLASS,)
    expected = ([label.encode() for label in labels], str(manifest.head).encode())
    if (told[contract.LABELS][0].tolist(), told[contract.HEAD][0]) != expected:
        return [f"signature {contract.LABELS} does not tell the manifest's labels and head"]
    if manifest.thresholds and tuple(told[contract.THRESHOLDS][0].tolist()) != manifest.thresholds:
        return [f"signature {contract.LABELS} does not tell the manifest's thresholds"]
    return []


def expected_interface(manifest: Manifest) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """The contract for a manifest: inputs and outputs of each signature, as dtype and shape."""
    classes = max(len(manifest.labels), 1)
    units = 1 if manifest.head in (Head.BINARY, Head.REGRESSION) else classes
    texts = {contract.TEXT: "string [B]"} | ({contract.TEXT_PAIR: "string [B]"} if manifest.pairs else {})
    answer = {
        contract.LABEL: "string [B]",
        contract.PROBABILITIES: f"float32 [B, {classes}]",
        contract.LOGITS: f"float32 [B, {units}]",
    }
    windows = (
        {} if manifest.max_windows is None else {contract.DECIDING_WINDOW: "int32 [B]", contract.WINDOWS: "int32 [B]"}
    )
    ranked = {contract.CLASSES: f"string [B, {classes}]", contract.SCORES: f"float32 [B, {classes}]"}
    return {
        contract.SERVING_DEFAULT: (texts, answer | windows),
        contract.TOKENS: (dict.fromkeys(contract.TOKEN_INPUTS, "int32 [B, B]"), answer),
        contract.CLASSIFY: ({contract.EXAMPLES: "string [B]"}, ranked),
        contract.EMBED: (texts, {contract.POOLED_OUTPUT: "float32 [B, H]"}),
        contract.LABELS: (
            {contract.TEXT: "string [B]"},
            {contract.LABELS: f"string [B, {classes}]", contract.HEAD: "string [B]"}
            | ({contract.THRESHOLDS: f"float32 [B, {classes}]"} if manifest.thresholds else {}),
        ),
    }


def _form(tensor: Any) -> str:
    """Dtype and shape as text; an unknown dimension is B, the size of the pooled output H."""
    dimensions = ["B" if size is None else str(size) for size in tensor.shape]
    if contract.POOLED_OUTPUT in tensor.name:
        dimensions[-1] = "H"
    return f"{tensor.dtype.name} [{', '.join(dimensions)}]"


@dataclass
class _Answers:
    """Compares answers to the golden texts with those of the model in memory."""

    model: "ExportedModel"
    golden: Golden
    limit: float
    manifest: Manifest
    max_probability_difference: float = 0.0

    def problems(self) -> list[str]:
        texts, pairs = self.golden.texts, self.golden.pairs or self.golden.texts
        rows = list(range(len(texts)))
        longest = max((max(len(texts[row]), len(pairs[row])) for row in rows), default=0)
        together = (
            rows
            if self.manifest.max_text_tokens <= _LONG_SEQUENCE
            else [row for row in rows if max(len(texts[row]), len(pairs[row])) < longest]
        )
        problems = []
        for size in (*_BATCH_SIZES, len(texts)):
            of_this_size = rows if size == 1 else together
            for start in range(0, max(len(of_this_size), 1), max(size, 1)) if size else (0,):
                problems += self._check_batch(of_this_size[start : start + size], size)
        return list(dict.fromkeys(problems))

    def _check_batch(self, rows: list[int], size: int) -> list[str]:
        texts = {contract.TEXT: [self.golden.texts[row] for row in rows]}
        if self.golden.pairs is not None:
            texts[contract.TEXT_PAIR] = [self.golden.pairs[row] for row in rows]
        where = f"in a batch of {size}"
        answer = self.model.call(contract.SERVING_DEFAULT, **texts)
        ranked = self.model.call(contract.CLASSIFY, **{contract.EXAMPLES: _examples(texts)})
        pooled = self.model.call(contract.EMBED, **texts)[contract.POOLED_OUTPUT]
        expected = self.golden.probabilities[rows]
        problems = self._compare(answer[contract.PROBABILITIES], expected, f"probabilities {where}")
        problems += self._labels_problems(answer, where)
        problems += self._compare(ranked[contract.SCORES], -np.sort(-expected, axis=1), f"classify scores {where}")
        limit = _LOGIT_FACTOR * self.limit
        problems += _far(answer[contract.LOGITS], self.golden.logits[rows], f"logits {where}", limit)
        problems += _far(pooled, self.golden.pooled[rows], f"pooled output {where}", limit)
        return problems

    def _labels_problems(self, answer: dict[str, np.ndarray], where: str) -> list[str]:
        """Whether `label` is what the manifest's thresholds make of the answered probabilities."""
        thresholds, head = self.manifest.thresholds, self.manifest.head
        if not thresholds:
            return []
        expected = answer_texts(head, self.manifest.labels, answer[contract.PROBABILITIES], thresholds)
        found = [label.decode() for label in answer[contract.LABEL]]
        if expected == found:
            return []
        return [f"labels {where} are not those of the manifest's thresholds"]

    def _compare(self, values: np.ndarray, expected: np.ndarray, what: str) -> list[str]:
        if values.shape == expected.shape:
            difference = float(np.abs(values - expected).max(initial=0))
            self.max_probability_difference = max(self.max_probability_difference, difference)
        # A regression's value has no scale of its own, so the limit grows with it.
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        return _far(values, expected, what, self.limit * scale)


def _far(values: np.ndarray, expected: np.ndarray, what: str, limit: float) -> list[str]:
    if values.shape != expected.shape:
        return [f"{what} have shape {values.shape}, expected {expected.shape}"]
    difference = float(np.abs(values - expected).max(initial=0))
    # NaN must fail, too.
    if difference <= limit:
        return []
    return [
        f"{what} differ from the model in memory by {difference:.2g}, limit {limit:.2g}{knob('max_probability_difference')}"
    ]


def _examples(texts: dict[str, list[bytes]]) -> list[bytes]:
    import tensorflow as tf

    examples = []
    for row in zip(*texts.values(), strict=True):
        features = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            for name, value in zip(texts, row, strict=True)
        }
        examples.append(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return examples


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minimum")
    parser.add_argument("--reference", type=Path)
    arguments = parser.parse_args()
    try:
        result = verify(arguments.folder, minimum_tf_serving=arguments.minimum, reference=arguments.reference)
    except BertServingError as error:
        result = Verification(passed=False, problems=(str(error),))
    sys.stdout.write(result.model_dump_json() + "\n")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(_main())
