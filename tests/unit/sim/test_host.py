"""What is drawn of a host that is known only so well."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from migmodel.sim.host import draw_host

DRAWS = 400
BOTH = ("page_source_s", "page_destination_s")


@pytest.fixture
def drawn(tcg_profile):
    """Draws of parameters of which only these relative errors are known."""

    def draw(errors, correlation=0.0, kind="fitted"):
        parameters = {
            name: msgspec.structs.replace(
                item, stderr=item.value * errors[name] if name in errors else None
            )
            for name, item in tcg_profile.parameters.items()
        }
        for name in parameters:
            if name.startswith("noise_"):
                parameters[name] = msgspec.structs.replace(parameters[name], value=0.0)
        first, second = BOTH
        profile = msgspec.structs.replace(
            tcg_profile,
            kind=kind,
            parameters=parameters,
            correlation={first: {second: correlation}, second: {first: correlation}},
        )
        rngs = np.random.default_rng(1).spawn(DRAWS)
        hosts = [draw_host(profile, rng) for rng in rngs]
        return {name: np.array([host[name] for host in hosts]) for name in BOTH}

    return draw


@pytest.mark.parametrize("error", [0.05, 0.4, 1.0])
def test_draws_are_centred_on_what_was_fitted(drawn, tcg_profile, error):
    found = drawn(dict.fromkeys(BOTH, error))
    for name, values in found.items():
        fitted = tcg_profile[name]
        sampling = 3 * error / DRAWS**0.5
        assert np.mean(values) == pytest.approx(fitted, rel=sampling)
        assert np.median(values) == pytest.approx(fitted, rel=1.5 * sampling)
        assert np.std(values) == pytest.approx(
            fitted * error, rel=0.1 if error < 0.5 else 0.4
        )
        assert values.min() >= 0


def test_a_sum_that_is_known_is_the_same_in_every_draw(drawn, tcg_profile):
    """Each of the two is known to a third of the sum, which has no error at all."""
    total = sum(tcg_profile[name] for name in BOTH)
    errors = {name: total / 3 / tcg_profile[name] for name in BOTH}
    found = drawn(errors, correlation=-1.0)
    sums = sum(found.values())
    # One that would be below nothing is cut off, and its other one is not.
    assert np.median(sums) == pytest.approx(total, rel=1e-6)
    assert np.mean(sums) == pytest.approx(total, rel=0.02)
    assert np.std(found[BOTH[0]]) > 0.5 * total / 3


def test_what_is_not_known_to_err_is_not_drawn(drawn, tcg_profile):
    found = drawn({BOTH[0]: 0.1})
    assert np.unique(found[BOTH[1]]).tolist() == [tcg_profile[BOTH[1]]]


def test_an_estimate_is_known_up_to_a_factor(drawn, tcg_profile):
    values = drawn({BOTH[0]: 0.7}, kind="documented")[BOTH[0]] / tcg_profile[BOTH[0]]
    assert np.median(values) == pytest.approx(1, rel=0.12)
    # As often above a factor as below its inverse, and never near nothing.
    above, below = (values > 2).mean(), (values < 1 / 2).mean()
    assert above == pytest.approx(below, abs=0.06)
    assert values.min() > 0.05
