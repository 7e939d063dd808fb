"""Polling with a deadline: the only way tests here wait."""
import time


def wait_for(predicate, deadline, what, interval=0.02):
    """Poll until predicate() is true and return its value; fail after deadline seconds.

    It looks a last time after the deadline: the machine may have slept until then.
    what may be a function, called only for the failure's text.
    """
    end = time.monotonic() + deadline
    while True:
        late = time.monotonic() >= end
        value = predicate()
        if value:
            return value
        if late:
            raise AssertionError(f"waited {deadline} s for {what() if callable(what) else what}")
        time.sleep(interval)


def holds_for(predicate, seconds, what, interval=0.05):
    """Poll for the whole time: predicate() must stay true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert predicate(), f"no longer true: {what() if callable(what) else what}"
        time.sleep(interval)
