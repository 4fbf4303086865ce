"""What an exploration looks at: a run file, or labeled text with settings of its own."""

import pytest

from bert_serving.contract import Head
from bert_serving.errors import InputError
from bert_serving.exploration.source import DEFAULT_ENCODER, ExplorationSource, encoder_name


def test_labeled_text_is_one_table(write_tsv, rows):
    source = ExplorationSource(write_tsv("rows.tsv", rows), sequence_length=8)
    config = source.config()
    assert (config.encoder.name, config.encoder.sequence_length) == (DEFAULT_ENCODER, 8)
    material = source.material(config)
    assert {name: len(table) for name, table in material.tables.items()} == {"train": 60}
    assert (material.labels, material.head, len(material.splits.validation)) == (("blame", "praise"), Head.SOFTMAX, 12)


def test_a_run_file_has_its_splits_and_takes_overrides(run_file, encoder_folder):
    source = ExplorationSource(run_file, ["data.max_train_rows=20"], encoder=str(encoder_folder))
    config = source.config()
    assert (config.encoder.path, encoder_name(config.encoder)) == (encoder_folder, encoder_folder.name)
    tables = source.material(config).tables
    assert {name: len(table) for name, table in tables.items()} == {"train": 20, "validation": 10, "test": 10}


def test_settings_of_the_other_kind_are_refused(run_file, tmp_path):
    for source, problem in (
        (
            ExplorationSource(run_file, columns={"text_pair": "b"}),
            r"--text-pair is for labeled text; .* --set data.text_pair=",
        ),
        (ExplorationSource(run_file, head=Head.BINARY), r"--head is for labeled text; .* --set head.kind="),
        (ExplorationSource(tmp_path / "rows.tsv", ["data.train=x"]), "--set is for a run file"),
    ):
        with pytest.raises(InputError, match=problem):
            source.config()
