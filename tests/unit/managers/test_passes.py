from __future__ import annotations

from migmodel.managers.passes import PassCounter, counts_iterates


def test_only_qemu_11_with_post_copy_counts_iterates() -> None:
    assert counts_iterates((11, 1), postcopy=True)
    assert not counts_iterates((11, 1), postcopy=False)
    assert not counts_iterates((10, 1), postcopy=True)


def test_a_pass_is_what_was_pending_at_its_begin() -> None:
    passes = PassCounter()
    seen = [
        passes.see(sent, pending, 1000)
        for sent, pending in (
            (0, 1000),
            (990, 300),
            (1000, 400),  # all of RAM has gone out: 400 pages make the second pass
            (1399, 350),
            (1450, 200),  # found 50 pages late: the third is what is pending now
            (1649, 100),
            (1650, 100),
        )
    ]
    assert seen == [1, 1, 2, 2, 3, 3, 4]


def test_idle_ram_is_one_pass() -> None:
    passes = PassCounter()
    assert [passes.see(sent, 1000 - sent, 1000) for sent in (0, 500, 999)] == [1, 1, 1]
