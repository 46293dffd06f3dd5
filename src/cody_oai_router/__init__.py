"""Cody OAI Router: OpenAI's API on your own machine, answered by your company's Sourcegraph."""

__version__ = "0.1.0"
