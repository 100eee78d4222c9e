"""The simulated site behind the API of Grid'5000, on this machine: for tests and for practice.

Takes a loaded configuration whose source is `simulated` or `grid5000`. Gives an HTTP server with
the addresses, parameters, limits and messages of api.grid5000.fr. It differs in four ways: all
data are simulated, `oarapi` also gives suspensions and the index of jobs of arrays, its
`wanted_resources` lacks what moldable jobs did not run under, and
`/sites/<site>/footprint/states` gives the history of the nodes' states.

- `server`: starts and stops the server
- `app`: addresses of all services, and access to them
- `recorded`: nodes, jobs, states and readings that the services have on record
- `reference`: the Reference API (hardware)
- `jobs`: the list of jobs of the Grid'5000 API
- `oarapi`: OAR's own API
- `metrics`: Kwollect (readings in W and other units)
- `refusals`: errors in the form of each service
- `faults`: errors and broken answers on purpose
- `list_faults`: damaged lists of jobs on purpose
- `metric_faults`: refusals and damaged answers of Kwollect on purpose
"""

from footprint.serve.app import Access
from footprint.serve.faults import FAULT_KINDS, GENERAL_KINDS, Faults, ReceivedRequest
from footprint.serve.server import (
    Certificate,
    Server,
    run_server,
    running_application,
    running_server,
)

__all__ = [
    "FAULT_KINDS",
    "GENERAL_KINDS",
    "Access",
    "Certificate",
    "Faults",
    "ReceivedRequest",
    "Server",
    "run_server",
    "running_application",
    "running_server",
]
