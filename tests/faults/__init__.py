"""Killing the real daemon, again and again, and comparing what arrived with what was shown."""
