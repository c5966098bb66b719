"""A replica set under load whose members are killed, paused and cut off, and the rules of what has to hold. `tools/replication.py`
and `cluster/test_replication_faults.py` run them."""
