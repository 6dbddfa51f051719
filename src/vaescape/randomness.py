"""Seeds that depend on the run's seed and the step, and on nothing that happened before."""

LOW = 2**32 - 1
LONG = 2**64 - 1


def step_seed(seed: int, step: int) -> int:
    """Return the 64-bit seed of one step's noise.

    PyTorch's CPU generator reads the lower 32 bits only, where hashes of 10⁴ steps would collide in
    one run of a hundred. So those bits are a one-to-one scrambling of the step (MurmurHash3's
    finaliser; Appleby, 2011), keyed by the seed: no two steps of a run share their noise. The upper
    bits are the seed's.
    """
    key = _splitmix(seed)
    return (key & ~LOW) | _scramble((step ^ key) & LOW)


def _splitmix(value: int) -> int:
    """Return 64 well-mixed bits (splitmix64; Steele, Lea & Flood, 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & LONG
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & LONG
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & LONG
    return value ^ (value >> 31)


def _scramble(value: int) -> int:
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & LOW
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & LOW
    return value ^ (value >> 16)
