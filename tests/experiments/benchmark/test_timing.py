from experiments.benchmark import timing


def test_contenders_take_turns_and_the_first_turn_does_not_count() -> None:
    calls: list[str] = []

    def contender(name: str) -> timing.Contender:
        def run() -> float:
            calls.append(name)
            return float(len(calls))

        return run

    rates = timing.take_turns({"a": contender("a"), "b": contender("b")}, turns=2)
    assert calls == ["a", "b"] * 3
    assert rates == {"a": [3.0, 5.0], "b": [4.0, 6.0]}


def test_rates_and_ratios_are_medians_with_quartiles() -> None:
    assert timing.rate([4.0, 1.0, 2.0, 3.0, 100.0]) == (3.0, 2.0, 4.0)
    assert timing.rate([7.0]) == (7.0, 7.0, 7.0)
    # Turn by turn: 2, 4, 1; never the ratio of two medians.
    assert timing.ratio([2.0, 8.0, 3.0], [1.0, 2.0, 3.0]) == (2.0, 1.5, 3.0)
