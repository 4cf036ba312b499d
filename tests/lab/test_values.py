import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_jax import penalties, schedules
from gan_jax.lab import values
from gan_jax.lab.options import real
from gan_jax.lab.values import Penalties, Scheduled

_read = values.scaling(real(0.0, 10.0, above=True), real(0.0, 10.0))
_read_penalty = values.penalty_terms(values.scaling(real(0.0)))

_SCHEDULES = {
    "linear:0.1:0.2": Scheduled("linear", (0.1, 0.2)),
    "linear:0.1:0.2:0.5": Scheduled("linear", (0.1, 0.2), 0.5),
    "cosine:0.0005:0.0": Scheduled("cosine", (5e-4, 0.0)),
    "steps:0.1,0.01,0.001": Scheduled("steps", (0.1, 0.01, 0.001)),
    "steps:0.1": Scheduled("steps", (0.1,)),
}


@pytest.mark.parametrize("text", _SCHEDULES)
def test_a_schedule_is_read_from_its_text_and_its_text_is_that(text: str) -> None:
    assert _read(text) == _SCHEDULES[text]
    assert str(_SCHEDULES[text]) == text


def test_other_spellings_of_a_schedule_are_the_same_value() -> None:
    assert _read("cosine:5e-4:0") == _read("cosine:.0005:0:1") == _read("cosine:0.0005:0.0:1.0")
    assert str(_read("cosine:5e-4:0:1")) == "cosine:0.0005:0.0"


def test_what_is_no_schedule_is_read_as_a_number() -> None:
    assert _read("1e-3") == 1e-3
    with pytest.raises(ValueError, match="expected a number in \\(0, 10\\), got 'sine:1:2'"):
        _read("sine:1:2")


_finite = st.floats(1e-30, 9.0)
_scheduled = st.builds(
    Scheduled, st.sampled_from(["linear", "cosine"]), st.tuples(_finite, _finite), st.floats(1e-9, 1.0)
) | st.lists(_finite, min_size=1, max_size=4).map(lambda found: Scheduled("steps", tuple(found)))
_penalties = st.lists(st.tuples(st.sampled_from(sorted(penalties.PENALTIES)), _finite | _scheduled), max_size=3).map(
    lambda terms: Penalties(tuple(terms))
)


@given(value=_scheduled)
def test_any_schedule_comes_back_from_its_text(value: Scheduled) -> None:
    assert _read(str(value)) == value


@given(value=_penalties)
def test_any_penalties_come_back_from_their_text(value: Penalties) -> None:
    assert _read_penalty(str(value)) == value


@given(value=_scheduled | _penalties | _finite | st.none(), others=_scheduled | _penalties | _finite | st.none())
def test_a_value_is_its_code_and_its_numbers(value: object, others: object) -> None:
    numbers = values.numbers_of(value)
    assert values.with_numbers(value, numbers) == value
    changed = values.with_numbers(value, [2 * number for number in numbers])
    assert values.numbers_of(changed) == tuple(2 * number for number in numbers)
    assert values.code_of(changed) == values.code_of(value)
    assert hash(values.code_of(value)) == hash(values.code_of(changed))
    if values.code_of(others) == values.code_of(value):
        assert values.with_numbers(value, values.numbers_of(others)) == others


def test_what_is_another_program_has_another_code() -> None:
    texts = [
        "0.5", "linear:1:2", "linear:1:2:0.5", "cosine:1:2", "steps:1,2", "steps:1,2,3"
    ]  # fmt: skip
    codes = [values.code_of(_read(text)) for text in texts] + [values.code_of(None)]
    codes += [values.code_of(_read_penalty(text)) for text in ("none", "r1:1", "r2:1", "r1:1+r2:1", "r1:linear:1:0")]
    assert len(set(codes)) == len(codes)
    assert values.code_of(_read_penalty("r1:1+r2:linear:1:0")) == values.code_of(_read_penalty("r1:3+r2:linear:5:2"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("linear", "expected linear:START:END or linear:START:END:SHARE"),
        ("linear:1", "expected linear:START:END"),
        ("cosine:1:2:0.5:3", "expected cosine:START:END or cosine:START:END:SHARE"),
        ("cosine:1:2:0", "share of the run in \\(0, 1\\], got '0'"),
        ("cosine:1:2:1.5", "share of the run in \\(0, 1\\]"),
        ("cosine:1:2:all", "share of the run in \\(0, 1\\]"),
        ("cosine:1:2:nan", "share of the run in \\(0, 1\\]"),
        ("cosine:1:-2", "expected a number in \\[0, 10\\), got '-2'"),
        ("cosine:11:1", "expected a number in \\[0, 10\\), got '11'"),
        ("cosine:1:fast", "got 'fast'"),
        ("steps:1:2", "expected steps:A,B,..."),
        ("steps", "expected steps:A,B,..."),
        ("steps:", "got ''"),
        ("steps:1,,2", "got ''"),
        ("steps:1,0", "expected a number in \\(0, 10\\), got '0'"),
        ("steps:1,inf", "got 'inf'"),
    ],
)
def test_a_schedule_that_is_none_says_what_was_expected(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _read(text)


def test_a_schedule_spans_the_steps_of_the_run_or_its_share_of_them() -> None:
    for text, schedule in {
        "linear:1:3": schedules.linear(1.0, 3.0, 20),
        "linear:1:3:0.25": schedules.linear(1.0, 3.0, 5),
        "cosine:1:3": schedules.cosine(1.0, 3.0, 20),
        "cosine:1:3:0.52": schedules.cosine(1.0, 3.0, 10),
        "cosine:1:3:1e-9": schedules.cosine(1.0, 3.0, 1),
        "steps:1,2,3": schedules.stages([1.0, 2.0, 3.0], 20),
    }.items():
        found = values.over(_read(text), 20)
        for step in range(22):
            assert float(found(jnp.int32(step))) == float(schedule(jnp.int32(step))), (text, step)


def test_a_number_is_a_float32_scalar_and_none_stays_none() -> None:
    number = values.over(0.1, 20)
    assert (number.shape, number.dtype) == ((), jnp.float32)
    assert float(number) == np.float32(0.1)
    assert values.over(None, 20) is None


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("none", ()),
        ("r1:1", (("r1", 1.0),)),
        ("r1:1e+3+r2:.5", (("r1", 1000.0), ("r2", 0.5))),
        ("wgan_gp:10+dragan:1E-2", (("wgan_gp", 10.0), ("dragan", 0.01))),
        (
            "r1:cosine:1:0+r2:steps:1,2",
            (("r1", Scheduled("cosine", (1.0, 0.0))), ("r2", Scheduled("steps", (1.0, 2.0)))),
        ),
        ("r1:linear:1e+1:0:.5+r2:1", (("r1", Scheduled("linear", (10.0, 0.0), 0.5)), ("r2", 1.0))),
    ],
)
def test_penalties_are_names_with_weights_that_may_be_schedules(
    text: str, terms: tuple[tuple[str, object], ...]
) -> None:
    found = _read_penalty(text)
    assert found == Penalties(terms)
    assert _read_penalty(str(found)) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("r1", "expected none or NAME:WEIGHT, joined by \\+, NAME one of wgan_gp, dragan, r1, r2, got 'r1'"),
        ("r1:", "expected none or NAME:WEIGHT"),
        ("", "expected none or NAME:WEIGHT"),
        ("r3:1", "expected none or NAME:WEIGHT"),
        ("r1:1+", "expected a number"),
        ("r1:1+none", "expected none or NAME:WEIGHT"),
        ("r1:-1", "expected a number in \\[0, inf\\), got '-1'"),
        ("r1:inf", "expected a number"),
        ("r1:cosine:1", "expected cosine:START:END"),
    ],
)
def test_penalties_that_are_none_say_what_was_expected(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _read_penalty(text)


def test_penalties_are_those_of_the_library() -> None:
    x = jax.random.normal(jax.random.key(0), (4, 3))
    fake, rng, step = x + 1, jax.random.key(1), jnp.int32(5)

    def critic(x: jax.Array) -> jax.Array:
        return jnp.sum(x**3, axis=1)

    for text, penalty in {
        "none": penalties.none,
        "wgan_gp:2": penalties.wgan_gp(2.0),
        "r1:3": penalties.r1(3.0),
        "r1:linear:0:2+r2:1": penalties.total(penalties.r1(schedules.linear(0.0, 2.0, 10)), penalties.r2(1.0)),
    }.items():
        found = _read_penalty(text).over(10)(critic, x, fake, rng, step)
        np.testing.assert_allclose(found, penalty(critic, x, fake, rng, step), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", [""]),
        ("1,2", ["1", "2"]),
        ("1,,2", ["1", "", "2"]),
        ("steps:1,2", ["steps:1,2"]),
        ("steps:1e-3,1e-4,.5,-1,+2", ["steps:1e-3,1e-4,.5,-1,+2"]),
        ("steps:1,2,steps:3,4", ["steps:1,2", "steps:3,4"]),
        ("cosine:1:0,2,steps:1,2", ["cosine:1:0", "2", "steps:1,2"]),
        ("steps:1,2,cosine:1:0,3", ["steps:1,2", "cosine:1:0", "3"]),
        ("steps:1,none", ["steps:1", "none"]),
        ("cosine:log(1e-5,1e-3):0,1", ["cosine:log(1e-5,1e-3):0", "1"]),
        ("steps:log(1,2),uniform(3,4),5", ["steps:log(1,2),uniform(3,4),5"]),
        ("r1:steps:1,2,none", ["r1:steps:1,2", "none"]),
        ("r1:steps:1,2+r2:3,none", ["r1:steps:1,2+r2:3", "none"]),
        ("r1:1+r2:steps:1,2,r1:1", ["r1:1+r2:steps:1,2", "r1:1"]),
        ("float32,bfloat16", ["float32", "bfloat16"]),
    ],
)
def test_commas_divide_a_list_but_not_the_values_of_steps_nor_a_range(text: str, items: list[str]) -> None:
    assert values.split_list(text) == items
