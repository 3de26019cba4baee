"""When to try again: full jitter over a fixed ladder of delays, for seven days. Randomness comes from outside."""

LADDER = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0)  # seconds; the last repeats
GIVE_UP_AFTER = 7 * 24 * 3600.0  # seconds: hospitals have long weekends


def delay(attempt: int, *, random: float, at_least: float | None = None) -> float:
    """Seconds to wait after the `attempt`-th failure (1 = first). `random` in [0, 1); `at_least` is the hospital's Retry-After.

    Full jitter (AWS Architecture Blog, "Exponential Backoff and Jitter"), with a tenth of the step as floor so that a
    repeat is never instant.
    """
    step = LADDER[min(max(attempt, 1), len(LADDER)) - 1]
    jittered = step * (0.1 + 0.9 * random)
    return max(jittered, at_least or 0.0)


def given_up(age: float) -> bool:
    """Whether a delivery first tried `age` seconds ago has been tried long enough."""
    return age >= GIVE_UP_AFTER
