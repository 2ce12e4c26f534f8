"""Orders are balanced whatever the design, and no cell is lost when people drop out."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import design_text

from musiscene.study.assignment import choose_cell, participant_seed, plan
from musiscene.study.design import Design, parse_design
from musiscene.study.squares import blocks, williams


@given(st.integers(1, 8))
def test_williams_squares_balance_places_and_neighbours(conditions: int) -> None:
    """Every condition stands equally often at every place and follows every other equally often."""
    rows = williams(conditions)

    places = Counter((place, value) for row in rows for place, value in enumerate(row))
    follows = Counter(pair for row in rows for pair in pairwise(row))
    assert len(places) == conditions**2 and len(set(places.values())) == 1
    assert len(follows) == conditions * (conditions - 1) and len(set(follows.values())) <= 1


@given(st.integers(2, 16), st.data())
@settings(max_examples=40, deadline=None)
def test_blocks_hold_every_item_equally_often(items: int, data: st.DataObject) -> None:
    """Whatever the sizes, no item is rated more than another, and the counts of pairs are as told."""
    size = data.draw(st.integers(1, items))
    made = blocks(items, size)

    counts = Counter(item for block in made.blocks for item in block)
    assert len(counts) == items and len(set(counts.values())) == 1
    assert all(len(set(block)) == size for block in made.blocks)
    pairs = Counter(pair for block in made.blocks for pair in combinations(block, 2))
    if 1 < size < items:
        found = [pairs.get(pair, 0) for pair in combinations(range(items), 2)]
        assert (min(found), max(found)) == (made.pair_low, made.pair_high)


def arrive(design: Design, people: int, references: list[bool]) -> tuple[Counter, list]:
    """Everybody comes and finishes; the counts of (item, condition, place among the conditions)."""
    tested: Counter = Counter()
    cells: Counter = Counter()
    plans = []
    for number in range(1, people + 1):
        seed = participant_seed(design, number)
        steps = plan(design, references, choose_cell(design, references, tested, seed), seed)
        plans.append(steps)
        for step in steps:
            if step.kind == "trial" and step.row >= 0:
                tested[step.item, step.row] += 1
                for place, slot in enumerate(slot for slot in step.slots if slot.condition in design.conditions):
                    cells[slot.item, slot.condition, place] += 1
    return cells, plans


@given(st.sampled_from(["rating", "single"]), st.integers(2, 6), st.integers(0, 99), st.data())
@settings(max_examples=25, deadline=None)
def test_cells_are_balanced_after_every_round(trial: str, items: int, seed: int, data: st.DataObject) -> None:
    """After a whole round of blocks and orders every item was rated equally often, and no cell was left out."""
    per = data.draw(st.integers(1, items))
    text = design_text(trial=trial, count=items, per=per, checks="").replace("seed = 7", f"seed = {seed}")
    design = parse_design(text)
    rounds = len(blocks(items, per).blocks) * 6
    cells, _ = arrive(design, rounds, [False] * items)

    of_item = Counter({(item, name): 0 for item in range(items) for name in design.conditions})
    for (item, name, _place), count in cells.items():
        of_item[item, name] += count
    assert len(of_item) == items * 3
    assert max(of_item.values()) == min(of_item.values())
    if trial == "rating" and per == items:
        assert len(set(cells.values())) == 1


@given(st.integers(0, 500), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_plan_has_what_the_design_asks(seed: int, references: bool) -> None:
    """All items with all conditions once, one repeat not right after its first, one anchor, one instructed page."""
    design = parse_design(design_text(count=5).replace("seed = 7", f"seed = {seed}"))
    known = [references] * 5
    steps = plan(design, known, choose_cell(design, known, {}, seed), seed)

    trials = [step for step in steps if step.kind == "trial"]
    assert sorted(step.item for step in trials) == list(range(5))
    for step in trials:
        names = [slot.condition for slot in step.slots if slot.condition != "anchor"]
        assert sorted(names) == sorted([*design.conditions, *(["reference"] if references else [])])
    assert sum(slot.condition == "anchor" for step in steps for slot in step.slots) == 1
    order = [step.item for step in steps if step.kind in ("trial", "repeat")]
    (again,) = [
        place for place, step in enumerate(s for s in steps if s.kind in ("trial", "repeat")) if step.kind == "repeat"
    ]
    assert order.index(order[again]) <= again - 2
    assert [step.kind for step in steps].count("instructed") == 1
    assert steps[0].kind == "consent" and steps[-1].kind == "end"
    assert steps == plan(design, known, choose_cell(design, known, {}, seed), seed)


def test_pairs_are_shown_in_both_orders() -> None:
    """In a paired comparison every pair of every item comes first-second as often as second-first."""
    design = parse_design(design_text(trial="pair", count=4, checks=""))
    _, plans = arrive(design, 8, [False] * 4)

    orders = Counter(
        (s.item, *(slot.condition for slot in s.slots)) for steps in plans for s in steps if s.kind == "trial"
    )
    assert len(orders) == 4 * 6 and set(orders.values()) == {4}
    for steps in plans:
        items = [step.item for step in steps if step.kind == "trial"]
        assert all(one != other for one, other in pairwise(items))


def test_who_drops_out_is_made_up_for() -> None:
    """When one block's people leave, later people are sent there until the counts are even again."""
    design = parse_design(design_text(count=6, per=3, checks=""))
    references = [False] * 6
    tested: Counter = Counter({(item, row): 10 for item in range(3, 6) for row in range(6)})

    for number in range(1, 200):
        seed = participant_seed(design, number)
        for step in plan(design, references, choose_cell(design, references, tested, seed), seed):
            if step.kind == "trial":
                tested[step.item, step.row] += 1
    of_item = Counter()
    for (item, _), count in tested.items():
        of_item[item] += count
    assert max(of_item.values()) - min(of_item.values()) <= 3
