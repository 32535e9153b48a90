import os

# Tests run side by side, one thread each: two pools of threads on the same cores stall each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
