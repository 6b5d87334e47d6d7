"""Every property of hypothesis, tried with many more examples than in its short form."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from amounts import amount, state

TESTS = Path(__file__).resolve().parents[1]
LEAST = 40


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_all_properties_hold(tmp_path):
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "--timeout=0"]
    run = subprocess.run(
        [*command, "-m", "hypothesis", f"--junitxml={report}", TESTS],
        cwd=TESTS.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert report.exists(), run.stdout[-20_000:] + run.stderr
    cases = list(ElementTree.parse(report).iter("testcase"))
    wrong = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = [f"{case.get('classname')}.{case.get('name')}".removeprefix("tests.") for case in wrong]
    tried = f"{len(cases) - skipped} properties, {amount(100, 2_000):,} examples each, or all that there are"
    tried += "; of costly ones a fifth to a half as many"
    state("Properties", tried, f"failed: {', '.join(failed)}" if failed else "all hold", not failed)
    assert not failed, run.stdout[-20_000:]
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    assert len(cases) - skipped >= LEAST
