"""Any text comes out of a Markdown reader as it went in."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bert_serving.saved_model.sharing.markdown import code, plain, table

READER = MarkdownIt("commonmark").enable("table")
TEXTS = st.text(st.sampled_from("ab1 `|\\*_[]<>()&;~#!-+.漢\n\t\0"), max_size=12) | st.text(max_size=12)


def cells(markdown):
    """The text of all cells, and the kinds of what is in them."""
    inlines = [token for token in READER.parse("\n".join(markdown)) if token.type == "inline"]
    kinds = {child.type for token in inlines for child in token.children}
    return ["".join(child.content for child in token.children) for token in inlines], kinds


def as_line(text):
    return "".join(char if char.isprintable() else " " for char in text)


@given(TEXTS)
@example("a|b")
@example("<script>x</script>")
@example("&lt;")
@example("__0__")
@example("a__b_c_")
@example("_it_ is **so** [x](y)")
def test_plain_text_is_shown_as_it_is(text):
    found, kinds = cells(table(("x", "y"), [(plain(text), "1")]))
    assert [each.strip() for each in found] == ["x", "y", as_line(text).strip(), "1"]
    assert kinds <= {"text", "text_special"}


@given(TEXTS)
@example("`")
@example("``a` b")
@example(" both ends ")
@example("\\|")
def test_code_is_shown_as_it_is(text):
    line = as_line(text)
    found, kinds = cells(table(("x", "y"), [(code(text) if line.strip() else "", "1")]))
    assert found == ["x", "y", line if line.strip() else "", "1"]
    assert kinds <= {"text", "code_inline"}


def test_columns_of_words_are_aligned_left_and_those_of_numbers_right():
    assert table(("a", "b", "c"), [("x", "1", "2")], words=1) == [
        "| a | b | c |",
        "| --- | ---: | ---: |",
        "| x | 1 | 2 |",
    ]
    assert table(("a", "b"), [])[1] == "| --- | --- |"


@pytest.mark.parametrize("text", ["order_status", "what's new?", "50% off (now)", "Müller"])
def test_common_text_needs_no_marks(text):
    assert plain(text) == text
