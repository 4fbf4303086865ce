"""The contract's files: labels come back from labels.txt as they were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_serving.contract import labels_of, labels_text

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda name: name[0] != "\ufeff")


@given(st.lists(NAMES, min_size=1))
@settings(max_examples=100, deadline=None)
def test_labels_come_back_from_their_file(labels):
    assert labels_of(labels_text(labels).encode()) == tuple(labels)


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (b"", ()),
        (b"a\nb\n", ("a", "b")),
        (b"a\nb", ("a", "b")),
        (b"a\r\nb\r\n", ("a", "b")),
        ("\ufeffa\nb\u2028c\x85\n".encode(), ("a", "b\u2028c\x85")),
    ],
)
def test_an_edited_labels_file_has_the_same_labels(content, labels):
    assert labels_of(content) == labels
