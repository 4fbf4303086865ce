"""`bert-serving explore` from the command line: the page, the summary, the JSON, and one line for each mistake."""

import functools
import json
import re

import pytest
from support.tiny import write_tsv_file

from bert_serving import extras


@pytest.fixture
def explore(bert_serving):
    """Runs the command in this process, in the test's own folder; gives its status, output and errors."""
    return functools.partial(bert_serving, "explore")


@pytest.fixture
def file(write_tsv, rows):
    return write_tsv("rows.tsv", rows)


class TestARunFile:
    def test_gives_a_summary_and_a_page_named_for_it(self, run_file, explore, tmp_path):
        status, out, err = explore(run_file)
        assert (status, err) == (0, "")
        for line in ("The data", "Baselines, measured on test", "What to fix first", "page: run.explore.html"):
            assert line in out
        html = (tmp_path / "run.explore.html").read_text("utf-8")
        assert '<h1 dir="auto">run.toml before training</h1>' in html
        assert "40 train + 10 validation + 10 test rows" in html
        assert re.findall(r"<h2 id=\"title-\d\">(.*?)</h2>", html) == [
            "What to fix first",
            "Labels",
            "Lengths",
            "Tokens",
            "Typical words",
            "Duplicates and leaks",
            "Baselines",
        ]
        assert [path.name for path in tmp_path.iterdir()] == ["run.explore.html"]

    def test_takes_overrides_and_another_encoder(self, run_file, encoder_folder, explore):
        status, out, _ = explore(
            run_file, "--set", "data.max_train_rows=20", "--encoder", encoder_folder, "--sequence-length", 8, "--json"
        )
        answer = json.loads(out)
        assert (status, answer["rows"]["train"], answer["audit"]["sequence_length"]) == (0, 20, 8)

    def test_json_is_all_that_is_printed_and_a_page_is_written_on_request_only(self, run_file, explore, tmp_path):
        _, out, _ = explore(run_file, "--json")
        assert (json.loads(out)["page"], list(tmp_path.iterdir())) == (None, [])
        _, out, _ = explore(run_file, "--json", "--out", "page.html")
        assert json.loads(out)["page"] == "page.html"
        assert (tmp_path / "page.html").stat().st_size > 500_000


class TestAFile:
    def test_has_the_same_findings_in_terminal_page_and_json(self, rows, write_tsv, encoder_folder, explore, tmp_path):
        path = write_tsv(
            "odd.tsv", [(f"{text} {row}", "-" if row < 15 else label) for row, (text, label) in enumerate(rows)]
        )
        _, out, _ = explore(path, "--encoder", encoder_folder)
        _, plain, _ = explore(path, "--encoder", encoder_folder, "--json")
        answer = json.loads(plain)
        (found,) = [finding for finding in answer["findings"] if finding["name"] == "no_label"]
        assert found["title"] == "1 label may mean that there is no label: '-' (15)"
        assert (found["level"], found["rows"]) == ("fix", 1)
        assert [finding["title"] for finding in answer["audit"]["findings"]] == [found["title"]]
        for text in (found["title"], found["detail"]):
            assert text in out
            assert text.replace("'", "&#39;") in (tmp_path / "odd.explore.html").read_text("utf-8")

    def test_is_looked_at_as_a_whole(self, file, encoder_folder, explore, tmp_path):
        status, out, _ = explore(file, "--encoder", encoder_folder)
        assert status == 0
        assert "Baselines, measured on validation" in out
        html = (tmp_path / "rows.explore.html").read_text("utf-8")
        assert "60 rows · softmax head · tokenizer of tiny, 128 tokens" in html

    @pytest.mark.parametrize(
        ("name", "content", "options", "head"),
        [
            (
                "multi.jsonl",
                ['{"text": "good film %d", "label": ["a"]}', '{"text": "bad bike %d", "label": ["a", "b"]}'],
                ["--head", "multilabel"],
                "multilabel",
            ),
            ("numbers.csv", ["good film %d,4.5", "bad bike %d,1.25"], ["--head", "regression"], "regression"),
            (
                "pairs.csv",
                ["good film %d,bad,x", "bad bike %d,good,y"],
                ["--text-pair", "other", "--label", "mark"],
                "softmax",
            ),
        ],
    )
    def test_may_hold_any_kind_of_labels(self, name, content, options, head, encoder_folder, explore, tmp_path):
        header = {"numbers.csv": ["text,label"], "pairs.csv": ["text,other,mark"]}.get(name, [])
        lines = [line % number for number in range(20) for line in content]
        (tmp_path / name).write_text("\n".join(header + lines) + "\n")
        status, out, _ = explore(tmp_path / name, *options, "--encoder", encoder_folder, "--json", "--out", "page.html")
        assert (status, json.loads(out)["rows"]) == (0, {"train": 40})
        assert f"40 rows · {head} head" in (tmp_path / "page.html").read_text("utf-8")

    def test_tells_what_was_left_out_in_every_output(self, encoder_folder, rows, explore, tmp_path):
        for number, (text, label) in enumerate(rows):
            folder = tmp_path / "texts" / label
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.TXT").write_text(text)
            (folder / f"._{number}.TXT").write_text("Mac OS X")
        status, out, _ = explore("texts", "--encoder", encoder_folder)
        assert status == 0
        assert re.search(r"left out +│ 60 hidden files", out)
        assert "train: left out: 60 hidden files" in out
        assert "60 hidden files" in (tmp_path / "texts.explore.html").read_text("utf-8")
        answer = json.loads(explore("texts", "--encoder", encoder_folder, "--json").out)
        assert answer["rows"] == {"train": 60}
        assert answer["audit"]["splits"]["train"]["left_out"] == {"hidden file": 60}

    def test_may_have_a_column_of_0_and_1_for_each_label(self, encoder_folder, rows, explore, tmp_path):
        lines = [f"{text};{int('good' in text)};{int('bad' in text)}" for text, _ in rows]
        (tmp_path / "marks.csv").write_text("\n".join(["comment;up;down", *lines]))
        options = ["marks.csv", "--encoder", encoder_folder, "--text", "comment", "--label", "up,down", "--json"]
        answer = json.loads(explore(*options).out)
        assert answer["labels"] == ["up", "down"]
        assert answer["audit"]["splits"]["train"]["rows_per_class"] == {"up": 30, "down": 30}
        repair = "marks.csv: cells are separated by a semicolon, not by a comma"
        assert answer["audit"]["splits"]["train"]["repairs"] == [repair]
        status, _, err = explore(*options, "--head", "softmax")
        assert (status, err.count("\n"), "which is for a multilabel head, not for a softmax head" in err) == (
            2,
            1,
            True,
        )


def mistakes():
    """(arguments, what the line says); {bad} is a folder of bad files, {file} and {run} are good ones."""
    encoder = "--encoder {encoder}"
    return [
        ("missing.tsv " + encoder, "missing.tsv: cannot be read: No such file or directory; check the path"),
        ("missing.toml", "missing.toml: cannot read the run file: No such file or directory"),
        ("{bad}/empty.tsv " + encoder, "empty.tsv: is empty"),
        ("{bad}/header.tsv " + encoder, "header.tsv: has no rows"),
        ("{bad}/no_column.tsv " + encoder, "has no column 'text'; its columns are 'txt', 'label'"),
        ("{bad}/binary.tsv " + encoder, "is not valid UTF-8: byte 0xff at offset 0"),
        ("{bad}/picture.png " + encoder, "unsupported kind of file"),
        ("{bad}/folder " + encoder, "has no label folders"),
        ("{bad}/one_class.tsv " + encoder, "train holds 1 label(s): 'praise', a softmax head needs more"),
        ("{bad}/keys.toml", "encoder.nme: unknown key"),
        ("{file} --label mark " + encoder, "has no column 'mark'"),
        ("{file} --encoder no-such-encoder", "the catalog has no encoder 'no-such-encoder'"),
        ("{file} --encoder {bad}", "encoder"),
        ("{file} --head regression " + encoder, "must be a finite number for a regression head, got 'praise'"),
        ("{file} --set data.max_train_rows=3 " + encoder, "--set is for a run file"),
        ("{run} --label mark", "--label is for labeled text; with a run file give --set data.label=..."),
        ("{run} --text-pair b", "--text-pair is for labeled text; with a run file give --set data.text_pair=..."),
        ("{run} --head binary", "--head is for labeled text; with a run file give --set head.kind=..."),
        ("{run} --set data.train=missing.tsv", "missing.tsv: cannot be read"),
        ("{file} --out {bad} " + encoder, "is a folder"),
        ("{file} --out no/such/folder.html " + encoder, "there is no folder 'no/such'"),
    ]


@pytest.mark.parametrize(("line", "message"), mistakes())
def test_a_mistake_is_one_clear_line_and_leaves_nothing_behind(
    line, message, file, run_file, encoder_folder, explore, tmp_path
):
    bad = tmp_path / "bad"
    (bad / "folder").mkdir(parents=True)
    (bad / "empty.tsv").write_text("")
    (bad / "header.tsv").write_text("text\tlabel\n")
    (bad / "no_column.tsv").write_text("txt\tlabel\na\tpraise\n")
    (bad / "binary.tsv").write_bytes(b"\xff\xfd" + b"text")
    (bad / "picture.png").write_bytes(b"\x89PNG")
    (bad / "keys.toml").write_text('[data]\ntrain = "x.tsv"\n[encoder]\nnme = "x"\nname = "x"\n')
    write_tsv_file(bad / "one_class.tsv", [("a", "praise"), ("b", "praise"), ("c", "praise")])
    places = {"bad": bad, "file": file, "run": run_file, "encoder": encoder_folder}
    status, _, err = explore(*(word.format(**places) for word in line.split()))
    assert (status, err.count("\n"), "Traceback" in err) == (2, 1, False)
    assert err.startswith("error: ")
    assert message in err
    assert {path.name for path in tmp_path.iterdir()} == {"bad", "rows.tsv"}


def test_a_missing_package_is_told_before_anything_is_read(explore, monkeypatch):
    real = extras.importlib.util.find_spec
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None if name == "datasketch" else real(name))
    status, _, err = explore("missing.tsv")
    assert status == 2
    assert "missing: datasketch; pip install 'bert-serving[report]'" in err


def test_a_real_chinese_file_is_told_to_need_another_encoder(shared_data, encoder_folder, explore):
    _, out, _ = explore(shared_data / "waimai_10k" / "validation.tsv", "--encoder", encoder_folder, "--json")
    answer = json.loads(out)
    assert answer["findings"][0]["title"] == "100% of the tokens are unknown to the vocabulary"
    assert answer["scripts"][0]["name"] == "Han (Chinese characters)"
    assert "好" in [word["word"] for word in answer["typical_words"]["1"]][:3]
    assert answer["rows"] == {"train": 1186}
