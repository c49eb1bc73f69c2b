"""What channels send after the limiter has seen enough."""

from __future__ import annotations

import pytest

from migmodel.physics.multifd import packets_ahead


def test_one_channel_gets_the_packet_that_waits_for_it():
    assert packets_ahead(1, 4000.0, 1e-3) == 1.0


def test_as_many_as_channels_where_the_next_is_ready_at_once():
    assert packets_ahead(4, 4000.0, 0.0) == 4.0


def test_one_less_as_often_as_another_was_free_while_the_next_is_filled():
    # Two channels, a packet each millisecond: the other one's lies within the last
    # 0.2 ms in two windows of ten.
    assert packets_ahead(2, 2000.0, 2e-4) == pytest.approx(1.8)


@pytest.mark.parametrize("ready_s", [1e-3, 1e-2, 1.0])
def test_never_more_than_one_less(ready_s):
    assert packets_ahead(2, 2000.0, ready_s) == 1.0
