"""Kills under load: clients, and the rules of what has to hold after each. `tools/crash.py` and `operations/test_crash.py` run them."""
