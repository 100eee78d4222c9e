"""The simulated site behind the API of Grid'5000, on this machine: for tests, and to learn.

The addresses, parameters, limits and words are those of api.grid5000.fr, so that a client cannot
tell the difference but for three things: nothing is real, `oarapi` also tells suspensions
(`footprint.serve.oarapi`), and `/sites/<site>/footprint/states` has the history of the nodes'
states.
"""

from footprint.serve.faults import ANYWHERE, KINDS, Asked, Faults
from footprint.serve.server import Server, run, running

__all__ = ["ANYWHERE", "KINDS", "Asked", "Faults", "Server", "run", "running"]
