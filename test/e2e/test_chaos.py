"""A minute of `make chaos`: what goes wrong with one camera or process costs no other camera a picture."""
import os
import subprocess
import sys

import pytest

from lib.gateway import ROOT

SECONDS = 45

pytestmark = pytest.mark.alone  # other tests would keep its cameras and players waiting


@pytest.mark.parametrize("seed", [1])
def test_chaos(seed):
    result = subprocess.run([sys.executable, os.path.join(ROOT, "test", "chaos", "chaos.py"), "--seed", str(seed),
                             "--seconds", str(SECONDS)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=600)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-8000:]
