import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.cdi.sequence import ALGORITHMS, SequenceError, Step, length, parse, written


def test_the_sequence_of_the_field():
    steps = parse("3*(20*ER+180*HIO)+20*ER")
    assert steps == (
        Step(20, "ER"), Step(180, "HIO"), Step(20, "ER"), Step(180, "HIO"), Step(20, "ER"), Step(180, "HIO"),
        Step(20, "ER"),
    )  # fmt: skip
    assert length(steps) == 620


def test_a_name_alone_is_one_iteration_and_case_and_blanks_do_not_matter():
    assert parse(" er + 2 * ( Hio+raar )") == (
        Step(1, "ER"), Step(1, "HIO"), Step(1, "RAAR"), Step(1, "HIO"), Step(1, "RAAR")
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 500), st.sampled_from(ALGORITHMS)), min_size=1, max_size=8))
def test_what_is_written_is_read_back(pairs):
    steps = parse("+".join(f"{count}*{name}" for count, name in pairs))
    assert parse(written(steps)) == steps
    assert length(steps) == sum(count for count, _ in pairs)


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        ("", 1, "is missing"),
        ("20*ER+", 7, "is missing"),
        ("20 ER", 4, "a * is missing"),
        ("20*DM", 4, "DM is not one of"),
        ("3*(20*ER", 9, "a ) is missing"),
        ("20*ER)", 6, "not expected"),
        ("20*ER & 3*HIO", 7, "has no meaning"),
        ("0*ER", 1, "a number of 1 to"),
        ("99999999999*ER", 1, "a number of 1 to"),
    ],
)
def test_errors_say_where(text, position, what):
    with pytest.raises(SequenceError) as error:
        parse(text)
    assert f"at position {position} " in str(error.value)
    assert what in str(error.value)
    assert str(error.value).endswith(".")


def test_too_many_iterations():
    with pytest.raises(SequenceError, match="more than"):
        parse("100000*(100000*ER)")
    with pytest.raises(SequenceError, match="more than"):
        parse("1000000*ER+ER")
