import itertools
import re

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from bert_serving.data.table import LabeledTable
from bert_serving.exploration import duplicates as module
from bert_serving.exploration.corpus import SplitRow, number_rows
from bert_serving.exploration.duplicates import SIMILAR, find_duplicates
from bert_serving.text.tfidf import WORD

LONG = "the quick brown fox jumps over the lazy dog and runs far away from the old house"


def table(*rows: tuple[str, str], pairs=None) -> LabeledTable:
    return LabeledTable([text for text, _ in rows], pairs, [label for _, label in rows], "a.tsv")


def found(*tables: LabeledTable):
    return find_duplicates(number_rows(dict(zip(("train", "validation", "test"), tables, strict=False))))


class TestEqualTexts:
    def test_are_grouped_over_all_splits_with_their_conflicts(self):
        duplicates = found(
            table(("a b c d", "x"), ("e f g h", "x"), ("a b c d", "y")),
            table(("e f g h", "x")),
        )
        assert [(group.numbers, group.conflicting) for group in duplicates.exact] == [((0, 2), True), ((1, 3), False)]
        assert [group.numbers for group in duplicates.conflicting] == [(0, 2)]

    def test_of_one_split_leave_the_others_out(self):
        duplicates = found(table(("a", "x"), ("a", "x"), ("b", "x")), table(("a", "y"), ("b", "x")))
        assert [(group.numbers, group.conflicting) for group in duplicates.within("train")] == [((0, 1), False)]
        assert duplicates.within("validation") == []

    def test_leak_from_one_split_into_another(self):
        duplicates = found(table(("a", "x"), ("a", "x")), table(("a", "x"), ("a", "x"), ("b", "x")))
        assert duplicates.leaks("train", "validation") == [(0, 2), (0, 3)]
        assert duplicates.leaks("validation", "train") == [(2, 0), (2, 1)]

    def test_of_pairs_are_equal_in_both_texts(self):
        duplicates = found(table(("a", "x"), ("a", "x"), ("a", "x"), pairs=["b", "c", "b"]))
        assert [group.numbers for group in duplicates.exact] == [(0, 2)]


class TestNearlyEqualTexts:
    def test_differ_in_case_punctuation_or_a_word(self):
        duplicates = found(table((LONG, "x"), (f"{LONG.upper()}!!!", "x"), (LONG.replace("house", "barn"), "y")))
        assert [(near.number, near.first, near.conflicting) for near in duplicates.near] == [
            (1, 0, False),
            (2, 0, True),
        ]
        assert duplicates.near[0].similarity == 1.0
        assert SIMILAR <= duplicates.near[1].similarity < 1

    def test_are_found_across_splits(self):
        duplicates = found(table((LONG, "x")), table((f"{LONG}.", "x"), ("something else entirely here", "x")))
        assert [near.number for near in duplicates.near_leaks("train", "validation")] == [1]
        assert duplicates.near_leaks("train", "train") == []
        assert duplicates.corpus.split_row(1) == SplitRow("validation", 1)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("so good!", "so good"),  # too short
            ("the dog bites the man today", "today man the bites dog the"),  # the same words in another order
            ("", " "),
        ],
    )
    def test_are_not_those_alike_by_chance(self, one, other):
        assert found(table((one, "x"), (other, "x"))).near == []

    def test_are_told_in_chinese_by_characters(self):
        duplicates = found(table(("好吃,速度快！", "1"), ("好吃！速度快！", "1"), ("味道一般，太慢了", "0")))
        assert [(near.number, near.first) for near in duplicates.near] == [(1, 0)]

    def test_are_no_conflict_when_the_labels_are_numbers(self):
        duplicates = find_duplicates(
            number_rows({"train": LabeledTable([LONG, f"{LONG}."], None, [1.0, 2.0], "a.tsv")})
        )
        assert [near.conflicting for near in duplicates.near] == [False]

    def test_cost_one_comparison_each_however_many_there_are(self, monkeypatch):
        calls = []
        measure = module._similarity
        monkeypatch.setattr(module, "_similarity", lambda *sets: calls.append(1) or measure(*sets))
        duplicates = found(table(*((f"{LONG} {'!' * number}", "x") for number in range(200))))
        assert len(duplicates.near) == 199
        assert len(calls) == 199

    def test_are_those_that_comparing_every_two_texts_finds(self):
        """Against the definition, with Python's own sets of pairs of words."""
        random = np.random.default_rng(4)
        words = [f"w{number}" for number in range(400)]
        texts = [" ".join(random.choice(words, size=random.integers(8, 40))) for _ in range(60)]
        for number in range(60):
            parts = texts[number].split()
            for place in random.integers(0, len(parts), size=random.integers(0, 4)):
                parts[place] = "changed"
            texts.append(" ".join(parts))
        near = find_duplicates(number_rows({"train": LabeledTable(texts, None, ["x"] * len(texts), "a")})).near
        expected = {
            number
            for first, number in itertools.combinations(range(len(texts)), 2)
            if texts[first] != texts[number] and _jaccard(texts[first], texts[number]) >= SIMILAR
        }
        assert 10 < len(expected) < 60
        assert {each.number for each in near} == expected
        assert all(each.similarity == pytest.approx(_jaccard(texts[each.first], texts[each.number])) for each in near)


def _jaccard(one: str, other: str) -> float:
    sets = [set(itertools.pairwise(text.split())) for text in (one, other)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


class TestACorpus:
    def test_counts_the_terms_that_the_baselines_count(self):
        texts = ["Good film, GOOD film!", "很好吃 so-so", "ครับ ok", "", "it_was 5€"]
        corpus = number_rows({"train": LabeledTable(texts, None, ["x"] * len(texts), "a")})
        plain = [text.replace("_", " ") for text in texts]  # BERT parts words at a low line, too
        counts = CountVectorizer(token_pattern=WORD).fit_transform(plain).sum(axis=1)
        assert corpus.word_lengths.tolist() == counts.A1.tolist()
        assert set(corpus.terms.names) == {term for text in plain for term in re.findall(WORD, text.lower())}

    def test_says_where_each_row_stands(self):
        corpus = number_rows({"train": table(("a", "x"), ("b", "y")), "test": table(("c", "x"))})
        assert [corpus.split_row(number) for number in range(3)] == [
            SplitRow("train", 1),
            SplitRow("train", 2),
            SplitRow("test", 1),
        ]
        assert [corpus.text(number) for number in range(3)] == ["a", "b", "c"]
        assert corpus.span("test") == slice(2, 3)

    @pytest.mark.parametrize(("label", "shown"), [("x", "x"), (("x", "y"), "x, y"), ((), ""), (2.5, "2.5"), (3.0, "3")])
    def test_shows_any_kind_of_label(self, label, shown):
        corpus = number_rows({"train": LabeledTable(["a"], None, [label], "a")})
        assert corpus.label(0) == shown
