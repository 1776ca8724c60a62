"""Properties are checked without a clock: the first call of a compiled function takes seconds."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
