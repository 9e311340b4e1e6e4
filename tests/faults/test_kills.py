"""Nothing is lost when the daemon is killed; and the harness notices a watcher that loses."""

import asyncio
import random

from tests.faults.entry import MUTANTS, STEPS
from tests.faults.harness import plan_of, run, run_lane
from tests.faults.speed import measure

KILLS = 50


async def test_fifty_kills_lose_nothing_and_repeat_only_under_the_same_key(tmp_path):
    verdict = await run(tmp_path, kills=KILLS)
    assert verdict.ok, str(verdict)
    assert verdict.kills == KILLS
    assert verdict.papers > KILLS / 2
    assert verdict.most_repeats_of_a_kill <= 1
    missed = [step for step in STEPS if not verdict.steps[step]]
    assert len(missed) <= 2, f"never died at {missed}"


FAULTS = {
    "lose": "lost: the store says that",
    "double": "doubled: ",
    "phantom": "phantom: ",
    "reword": "reworded: ",
}


async def test_every_watcher_with_a_fault_is_found_out(tmp_path):
    async def try_out(mutant):
        folder = tmp_path / mutant
        folder.mkdir()
        deaths = ["message sent"] if mutant == "reword" else []
        return mutant, await run_lane(folder, deaths, seed=3, mutant=mutant, papers=20)

    for mutant, verdict in await asyncio.gather(*map(try_out, MUTANTS)):
        found = [fault for fault in verdict.faults if fault.startswith(FAULTS[mutant])]
        assert found, f"{mutant}: {verdict}"


def test_half_of_the_deaths_are_at_the_steps_each_as_often_as_the_others():
    deaths = plan_of(52, random.Random(1))
    assert deaths.count(None) == 26
    assert all(deaths.count(step) == 2 for step in STEPS)


async def test_alerts_leave_within_a_second_and_a_dead_endpoint_delays_nobody():
    found = await measure(alerts=5)
    assert found.isolated < 2.0
    assert max(found.alerts) < 1.0
