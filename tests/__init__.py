"""The tests of Fashion-16, in folders like those of what they test."""

import os

# two processes share the cores: threads that wait for each other took three quarters of the time. Libraries read
# these when they are imported
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_variable, "1")
