"""What a check says to answers that are right but for their form."""

from __future__ import annotations

import pytest

from kmemwidgets.learn.checks import Exercise, judge

NUMBER = Exercise("x.number", lambda: 64, "because {right}", "a hint")
WORD = Exercise("x.word", lambda: "6.18", "because {right}", "a hint")


@pytest.mark.parametrize("answer", ["64", "0x40", " 64 "])
def test_a_number_in_quotes_is_told_apart_from_a_wrong_one(answer: str) -> None:
    assert judge(NUMBER, answer) == "Almost. That is a text. Write it without the quotes."


@pytest.mark.parametrize("answer", ["65", "sixty-four", "64)", "", None, -64])
def test_what_is_wrong_in_quotes_or_out_of_them_gets_the_hint(answer: object) -> None:
    assert judge(NUMBER, answer) == "Not yet. a hint"


def test_a_word_without_quotes() -> None:
    assert judge(WORD, 6.18) == "Almost. Write it as a text, in quotes."
    assert judge(WORD, 6.1) == "Not yet. a hint"
    assert judge(WORD, "6.18") == "Right. because 6.18"
