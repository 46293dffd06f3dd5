"""What all tests share: property tests that try the same examples every time, and no more than a second's worth."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, max_examples=100)
settings.load_profile("repeatable")
