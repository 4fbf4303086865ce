"""models.config: what it says, how it changes, and the order of steps that no server refuses."""

import itertools
import json

import pytest

from bert_serving.errors import PublishError
from bert_serving.model_server.config.model_config import parse_model_config
from bert_serving.publishing.rollout.label_history import (
    history_file,
    last_change,
    read_history,
    record_change,
    remove_change,
)
from bert_serving.publishing.rollout.label_plan import parse_labels, plan_steps
from bert_serving.publishing.rollout.models_config import ModelsConfig, ServedVersions

TEXT = """# Ours.
# Do not touch on Fridays.
model_config_list {
  config {
    name: "m" base_path: "/models/m" model_platform: "tensorflow"
    model_version_policy { specific { versions: 7 } }
    version_labels { key: "stable" value: 7 }
  }
  config { name: "other" base_path: "/models/other" model_platform: "tensorflow" }
}
"""


def test_a_change_touches_one_model_and_keeps_the_comments():
    config = ModelsConfig(TEXT, "models.config")
    changed = config.change("m", ServedVersions((7, 8), {"stable": 7, "canary": 8}))
    assert changed.text.startswith("# Ours.\n# Do not touch on Fridays.\nmodel_config_list {")
    assert changed.served("m") == ServedVersions((7, 8), {"stable": 7, "canary": 8})
    before, after = (parse_model_config(each.text, source="x") for each in (config, changed))
    assert before[1] == after[1]
    assert after[0].policy.specific == (7, 8)
    assert config.served("m") == ServedVersions((7,), {"stable": 7})
    assert config.served("other") == ServedVersions(None, {})


PLANS = {
    "first label": (ServedVersions((7,), {}), (7,), {"stable": 7}, [("label 7 stable", (7,), (7,))]),
    "canary": (
        ServedVersions((7,), {"stable": 7}),
        (7,),
        {"stable": 7, "canary": 8},
        [("load 8", (7, 8), (8,)), ("label 8 canary", (7, 8), (7, 8))],
    ),
    "promote": (
        ServedVersions((7, 8), {"stable": 7, "canary": 8}),
        (7, 8),
        {"stable": 8, "canary": 8},
        [("move stable from 7 to 8", (7, 8), (8,))],
    ),
    "roll back": (
        ServedVersions((7, 8), {"stable": 8, "canary": 8}),
        (7, 8),
        {"stable": 7, "canary": 8},
        [("move stable from 8 to 7", (7, 8), (7, 8))],
    ),
    "the next canary unloads what the last promotion left": (
        ServedVersions((7, 8), {"stable": 8, "canary": 8}),
        (7, 8),
        {"stable": 8, "canary": 9},
        [("unload 7", (8,), ()), ("load 9", (8, 9), (9,)), ("move canary from 8 to 9", (8, 9), (8, 9))],
    ),
    "a label goes away": (
        ServedVersions((7, 8), {"stable": 7, "canary": 8}),
        (7, 8),
        {"stable": 7},
        [("remove canary from 8", (7, 8), (7,))],
    ),
    "from a policy that follows the folder": (
        ServedVersions(None, {}),
        (8,),
        {"stable": 7},
        [("load 7", (7, 8), (7,)), ("label 7 stable", (7, 8), (7,))],
    ),
    "nothing to do": (ServedVersions((7,), {"stable": 7}), (7,), {"stable": 7}, []),
}


@pytest.mark.parametrize("case", PLANS)
def test_the_order_of_steps(case):
    now, loaded, labels, expected = PLANS[case]
    steps = plan_steps(now, loaded, labels)
    assert [(step.what, step.served.versions, step.awaited) for step in steps] == expected
    # What a server checks: a label leads to a version that it holds already.
    held = set(loaded)
    for step in steps:
        moved = {v for label, v in step.served.labels.items() if now.labels.get(label) != v}
        assert moved <= held
        held = set(step.served.versions)
    if steps:
        assert steps[-1].served.labels == labels


def test_a_version_can_be_loaded_without_a_label():
    (step,) = plan_steps(ServedVersions((7,), {"stable": 7}), (7,), {"stable": 7}, load=[8])
    assert (step.what, step.served) == ("load 8", ServedVersions((7, 8), {"stable": 7}))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["stable=8", "canary=9"], {"stable": 8, "canary": 9}),
        (["stable="], {}),
        (["stable=0", "old=007"], {"stable": 0, "old": 7}),
        ([], {"stable": 7}),
    ],
)
def test_arguments_become_labels(arguments, expected):
    assert parse_labels(arguments, {"stable": 7}) == expected


@pytest.mark.parametrize(
    "argument",
    [
        *("stable", "=7", "canary=", "a/b=7", "a?b=7", "a#b=7", "a b=7", "a\0=7", "a:b=7", "a%20b=7"),
        *("stable=x", "stable=-1", "stable=²", "stable=7.0", "stable=7=8", "stable=9223372036854775808"),
    ],
)
def test_what_is_no_label_is_refused(argument):
    with pytest.raises(
        PublishError, match=r"give label=version|give a positive integer|to remove; the labels are stable"
    ):
        parse_labels([argument], {"stable": 7})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model_config_list {", "give a models.config file"),
        ("", "lists no model"),
        ("nonsense: 1", "give a models.config"),
    ],
)
def test_what_is_no_models_config_is_refused(tmp_path, text, problem):
    path = tmp_path / "models.config"
    path.write_text(text)
    with pytest.raises(PublishError, match=problem) as caught:
        ModelsConfig.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(PublishError, match="cannot read it: No such file or directory; check --config"):
        ModelsConfig.load(tmp_path / "absent")


def test_the_model_must_be_clear():
    config = ModelsConfig(TEXT, "models.config")
    assert config.only_name("m") == "m"
    with pytest.raises(PublishError, match="lists m, other; name one with --model"):
        config.only_name(None)
    with pytest.raises(PublishError, match="has no model 'x'; it lists m, other"):
        config.only_name("x")


def test_a_file_that_somebody_changed_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(TEXT)
    config = ModelsConfig.load(path)
    path.write_text(TEXT + "# changed\n")
    with pytest.raises(PublishError, match="was changed by another process in the meantime"):
        config.change("m", ServedVersions((7,), {})).save(path, instead_of=config)
    assert path.read_text() == TEXT + "# changed\n"


def test_moves_are_taken_back_one_after_the_other(tmp_path):
    path = tmp_path / "models.config"
    states = [
        ServedVersions((7,), {"stable": 7}),
        ServedVersions((7, 8), {"stable": 7, "canary": 8}),
        ServedVersions((8,), {"stable": 8}),
    ]
    for before, after in itertools.pairwise(states):
        record_change(path, "m", before, after)
    for now, before in ((states[2], states[1]), (states[1], states[0])):
        move = last_change(path, "m", now)
        assert move.before == before.labels
        remove_change(path, move)
    with pytest.raises(PublishError, match="has no change of a label of m"):
        last_change(path, "m", states[0])
    record_change(path, "m", states[0], states[1])
    with pytest.raises(PublishError, match="were edited by hand"):
        last_change(path, "m", states[2])
    assert json.loads(history_file(path).read_text())["model"] == "m"
    history_file(path).write_text("{}")
    with pytest.raises(PublishError, match="damaged"):
        read_history(path)
