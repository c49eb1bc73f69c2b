"""Who gets which CPU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migmodel.physics.cpu import Pipeline, share_cpus

INF = float("inf")


def test_with_cpus_to_spare_nobody_waits():
    share, rate = share_cpus(4, 1.0, 1, Pipeline(2e-6, 3e-6, INF), same_host=True)
    assert share == 1.0
    assert rate == pytest.approx(1 / 3e-6)  # the slower side


def test_three_busy_threads_on_two_cpus_get_two_thirds_each():
    share, rate = share_cpus(2, 1.0, 1, Pipeline(2e-6, 2e-6, INF), same_host=True)
    assert share == pytest.approx(2 / 3, rel=1e-6)
    assert rate == pytest.approx(2 / 3 / 2e-6, rel=1e-6)


def test_a_light_stream_takes_only_what_it_needs():
    share, rate = share_cpus(2, 1.0, 2, Pipeline(2e-6, 2e-6, 30_000), same_host=True)
    assert rate == pytest.approx(30_000, rel=1e-6)
    assert share == pytest.approx((2 - 2 * 0.06) / 2, rel=1e-6)


def test_another_host_does_not_compete():
    share, rate = share_cpus(2, 1.0, 1, Pipeline(2e-6, 4e-6, INF), same_host=False)
    assert (share, rate) == (1.0, pytest.approx(1 / 4e-6))


@given(
    cpus=st.floats(1, 8),
    demand=st.floats(0, 1),
    vcpus=st.integers(1, 16),
    source=st.floats(1e-7, 1e-4),
    destination=st.floats(1e-7, 1e-4),
    limit=st.floats(1, 1e7),
)
def test_never_more_cpus_than_there_are(
    cpus, demand, vcpus, source, destination, limit
):
    pipeline = Pipeline(source, destination, limit)
    share, rate = share_cpus(cpus, demand, vcpus, pipeline, same_host=True)
    used = share * vcpus + rate * (source + destination)
    assert used <= cpus * (1 + 1e-6)
    assert 0 <= share <= demand
    assert rate <= limit
