"""What every test may ask for: the shared data, and how hard hypothesis searches.

`SESTINA_REQUIRE_SHARED=1` (set by `.ci/run` where the data lies beside the checkout) turns a test
that was skipped for want of shared data into a failure, so that no run passes by testing nothing.
`SESTINA_HYPOTHESIS=fuzz` (set by `make fuzz`) searches long and differently each time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

_QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=_QUIET)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.register_profile("fuzz", settings.get_profile("default"), max_examples=200)
settings.load_profile(os.environ.get("SESTINA_HYPOTHESIS", "default"))


# A shell starts what it puts in the background deaf to Ctrl-C, and children inherit that; some
# tests interrupt theirs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder `../shared/data`: reference values and data sets that are not in the package."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} does not exist")
    return folder


@pytest.fixture(scope="session")
def ray_cluster() -> Generator[str]:
    """The address of a Ray cluster of two machines with two cores each, both played by this one."""
    pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - seconds, and not everywhere

    node = {"num_cpus": 2, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skip for want of shared data into a failure, where the environment asks for it."""
    report = yield
    required = os.environ.get("SESTINA_REQUIRE_SHARED") == "1"
    if required and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "shared" in reason:
            report.outcome = "failed"
            report.longrepr = f"SESTINA_REQUIRE_SHARED=1 and {reason}"
    return report
