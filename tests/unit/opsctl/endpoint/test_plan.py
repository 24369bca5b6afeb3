"""The planner: from any state that runs or crashes leave behind, to the wanted one, with the old release serving."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsctl.endpoint.names import Names
from opsctl.endpoint.plan import plan, removal, wanted
from opsctl.endpoint.resources import resources
from opsctl.endpoint.rollout import STRATEGIES
from opsctl.endpoint.spec import BucketModel, Classic, EndpointSpec, HubModel, ScaleToZero, StartLimits, Thresholds
from opsctl.endpoint.state import drift
from opsctl.endpoint.steps import Remove, told
from opsctl.errors import NotUsable
from tests.unit.opsctl.endpoint.simulator import Simulator
from tests.unit.opsctl.endpoint.specs import ASLEEP, CLASSIC

NAMES = Names("twin")
SHAPES = {
    "classic": st.builds(Classic, st.integers(1, 3), st.integers(3, 5)),
    "scale-to-zero": st.builds(ScaleToZero, st.integers(1, 3)),
}


def specs(shape: str) -> st.SearchStrategy[EndpointSpec]:
    return st.builds(
        lambda **fields: replace(CLASSIC, **fields),
        shape=SHAPES[shape],
        engine=st.sampled_from(["vllm", "tgi"]),
        image=st.sampled_from(["image:1", "image:2"]),
        source=st.sampled_from([HubModel("org/a"), HubModel("org/b"), BucketModel("org/a", "s3://weights/a/")]),
        instance_type=st.sampled_from(["ml.g5.2xlarge", "ml.g5.12xlarge", "ml.m5.large"]),
        context_tokens=st.sampled_from([2048, 4096]),
        limits=st.builds(StartLimits, st.sampled_from([900, 1200])),
        thresholds=st.builds(Thresholds, st.sampled_from([5, 9])),
        isolated=st.booleans(),
        key_arn=st.sampled_from([None, CLASSIC.key_arn]),
    )


def done(cloud: Simulator, steps: Any) -> None:
    for step in steps:
        step.act(cloud)


pairs = st.sampled_from(sorted(SHAPES)).flatmap(lambda shape: st.lists(specs(shape), min_size=1, max_size=4))


@settings(max_examples=500, deadline=None)
@given(releases=pairs, strategy=st.sampled_from(STRATEGIES))
def test_a_plan_reaches_what_is_wanted_and_then_there_is_none(releases: list[EndpointSpec], strategy: Any) -> None:
    cloud, earlier = Simulator(), ()
    for spec in releases:
        to = wanted(spec, earlier, strategy)
        done(cloud, plan(cloud.observe(NAMES), to))
        assert drift(resources(spec), cloud.observe(NAMES)) == ()
        assert set(cloud.parts) - to.kept == {each.key for each in resources(spec)} - to.kept
        assert plan(cloud.observe(NAMES), to) == ()
        earlier = (spec,)


@settings(max_examples=500, deadline=None)
@given(releases=pairs, cut=st.data())
def test_a_plan_that_was_cut_anywhere_is_finished_by_the_next_one(releases: list[EndpointSpec], cut: Any) -> None:
    cloud = Simulator()
    for spec in releases:  # each is cut somewhere, and the next one wants something else
        steps = plan(cloud.observe(NAMES), wanted(spec))
        done(cloud, steps[: cut.draw(st.integers(0, len(steps)))])
    done(cloud, plan(cloud.observe(NAMES), wanted(releases[-1])))
    assert set(cloud.parts) == {each.key for each in resources(releases[-1])}
    assert plan(cloud.observe(NAMES), wanted(releases[-1])) == ()


@settings(max_examples=200, deadline=None)
@given(releases=pairs)
def test_once_it_serves_something_serves_at_every_step(releases: list[EndpointSpec]) -> None:
    cloud = Simulator()
    done(cloud, plan(cloud.observe(NAMES), wanted(releases[0])))
    cloud.served.clear()
    for spec in releases[1:]:
        done(cloud, plan(cloud.observe(NAMES), wanted(spec)))
    assert None not in cloud.served


@settings(max_examples=200, deadline=None)
@given(releases=pairs, cut=st.data())
def test_taking_steps_back_in_reverse_restores_what_was(releases: list[EndpointSpec], cut: Any) -> None:
    cloud = Simulator()
    done(cloud, plan(cloud.observe(NAMES), wanted(releases[0])))
    before = dict(cloud.parts)
    steps = plan(cloud.observe(NAMES), wanted(releases[-1], releases[:1]))
    taken = steps[: cut.draw(st.integers(0, len(steps)))]
    done(cloud, taken)
    done(cloud, [step.undo for step in reversed(taken)])
    assert cloud.parts == before


@settings(max_examples=200, deadline=None)
@given(releases=pairs)
def test_removal_leaves_nothing_and_never_asks_for_what_aws_refuses(releases: list[EndpointSpec]) -> None:
    cloud = Simulator()
    for spec in releases:
        done(cloud, plan(cloud.observe(NAMES), wanted(spec, releases)))
    done(cloud, removal(cloud.observe(NAMES)))
    assert cloud.parts == {}


def test_a_new_endpoint_is_made_in_an_order_in_which_it_can_be() -> None:
    assert [told(step).rsplit(" ", 1)[0] for step in plan(Simulator().observe(NAMES), wanted(CLASSIC))] == [
        "create model",
        "create config",
        "create alarm",
        "create alarm",
        "create endpoint",
        "create target",
        "create policy",
    ]


def test_scale_to_zero_begins_with_the_config_which_is_free_and_may_be_refused() -> None:
    steps = plan(Simulator().observe(NAMES), wanted(ASLEEP))
    assert [step.key[0] for step in steps] == [
        "config", "model", "alarm", "alarm", "endpoint", "component", "target", "policy", "policy", "alarm",
    ]  # fmt: skip


def test_what_the_release_before_needs_is_kept_and_what_is_older_goes() -> None:
    cloud = Simulator()
    first, second, third = (replace(CLASSIC, context_tokens=tokens) for tokens in (1024, 2048, 4096))
    done(cloud, plan(cloud.observe(NAMES), wanted(first)))
    done(cloud, plan(cloud.observe(NAMES), wanted(second, [first])))
    steps = plan(cloud.observe(NAMES), wanted(third, [second]))
    removed = {step.key for step in steps if isinstance(step, Remove)}
    assert removed == {each.key for each in resources(first) if each.kind in {"model", "config"}}


@pytest.mark.parametrize(("one", "other"), [(CLASSIC, ASLEEP), (ASLEEP, CLASSIC)])
def test_another_shape_is_refused_with_the_way_to_it(one: EndpointSpec, other: EndpointSpec) -> None:
    cloud = Simulator()
    done(cloud, plan(cloud.observe(NAMES), wanted(one)))
    with pytest.raises(NotUsable, match=r"set generation.endpoint to a new name"):
        plan(cloud.observe(NAMES), wanted(other))


@pytest.mark.parametrize("spec", [CLASSIC, ASLEEP])
def test_an_endpoint_that_failed_after_it_was_whole_is_replaced_with_all_that_hangs_on_it(spec: EndpointSpec) -> None:
    cloud = Simulator()
    done(cloud, plan(cloud.observe(NAMES), wanted(spec)))
    cloud.parts["endpoint", "twin"] = replace(cloud.parts["endpoint", "twin"], status="Failed")
    done(cloud, plan(cloud.observe(NAMES), wanted(spec)))
    assert cloud.serving() is not None
    assert plan(cloud.observe(NAMES), wanted(spec)) == ()


def test_an_update_that_could_not_be_taken_back_is_done_again() -> None:
    cloud = Simulator()
    done(cloud, plan(cloud.observe(NAMES), wanted(CLASSIC)))
    cloud.parts["endpoint", "twin"] = replace(cloud.parts["endpoint", "twin"], status="UpdateRollbackFailed")
    assert [told(step) for step in plan(cloud.observe(NAMES), wanted(CLASSIC))] == ["change endpoint twin"]
