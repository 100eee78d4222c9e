"""Accounts of devices that the trackers of one machine share, so that no energy counts twice.

A counter does not report who used the energy. The rule: between two readings of a device, by
whichever tracker, its energy is divided into equal parts among the trackers that run at that time.
The parts of all trackers add up to at most the energy of the device. A tracker inside another one
(`FOOTPRINT_TRACKED_GROUP`) has the part of the outer one, whose energy includes it.

Each device has one file in the machine's memory, `/dev/shm/footprint/*.json`: the last reading, and
for each tracker its part since it last asked. A reading locks the file, divides the energy since
the last reading, and takes the tracker's own part. The files contain no name, job or command, and
every account of the machine may write them; the last tracker of a device removes its file.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from footprint.tracker.meter import Device, OwnAccounts, Reading, Share

ACCOUNTS_FOLDER = Path("/dev/shm/footprint")
FOLDER_VARIABLE = "FOOTPRINT_ACCOUNTS"
GROUP_VARIABLE = "FOOTPRINT_TRACKED_GROUP"
MEMBER_TIMEOUT_S = 60.0
"""Time without a reading after which a tracker whose process cannot be seen has ended."""
LOCK_TIMEOUT_S = 0.5
"""Longest wait for the reading of another tracker."""
LOCK_POLL_S = 0.005
MOST_BYTES = 1 << 20
LONGEST_NAME = 200
MEMBER_NUMBERS = ("until_s", "energy_j", "whole_j", "covered_s", "n_trackers")


def new_group() -> str:
    """Identity of the trackers whose energy is one: that of the enclosing tracker, or a new one."""
    return os.environ.get(GROUP_VARIABLE) or os.urandom(8).hex()


class SharedAccounts:
    """Divides the energy of devices among the trackers of this machine.

    Args:
        group: Trackers of one group have one part (`new_group`).
        folder: Folder of the accounts, the same for all trackers; None: `FOOTPRINT_ACCOUNTS`, else
            `/dev/shm/footprint`.
    """

    def __init__(self, group: str, folder: Path | None = None) -> None:
        self._folder = folder or Path(os.environ.get(FOLDER_VARIABLE) or ACCOUNTS_FOLDER)
        self._group, self._member = group, os.urandom(8).hex()
        self._process = _process_name(os.getpid())
        self._own = OwnAccounts()
        self.unshared_reason: str | None = None
        """Reason for which accounts cannot be shared, and the whole energy is taken; else None."""
        try:
            _make_folder(self._folder)
        except OSError as error:
            self.unshared_reason = f"{self._folder}: {error.strerror}"

    def settle(self, device: Device, clock: Callable[[], float], *, is_last: bool) -> Share:
        """Read a device, divide its energy, and return this tracker's part (see `Accounts`)."""
        if self.unshared_reason is not None:
            return self._own.settle(device, clock, is_last=is_last)
        with _locked_account(self._folder / _file_name(device)) as account:
            account.remove_ended(clock())
            try:
                value = device.read_value()
            except Exception:
                account.last = None  # nothing is interpolated over a failed reading
                raise
            account.divide(device, Reading(clock(), value))
            own = account.members.pop(self._member, None)
            if not is_last:
                account.members[self._member] = {
                    "group": self._group,
                    "process": self._process,
                    "until_s": clock() + MEMBER_TIMEOUT_S,
                    "energy_j": 0.0,
                    "whole_j": 0.0,
                    "covered_s": 0.0,
                    "n_trackers": 1,
                }
        if own is None:
            return Share(0.0, 0.0, 0.0, 1)
        n_trackers = int(own["n_trackers"])
        return Share(own["energy_j"], own["whole_j"], own["covered_s"], n_trackers)


class _Account:
    """Last reading and members of a device, as its file has them."""

    def __init__(self, content: bytes) -> None:
        self.last: Reading | None = None
        self.members: dict[str, dict[str, Any]] = {}
        try:
            found = json.loads(content)
            self.last = None if found["last"] is None else Reading(*map(_finite, found["last"]))
            self.members = {
                str(name): {
                    "group": str(each["group"]),
                    "process": str(each["process"]),
                    **{key: _finite(each[key]) for key in MEMBER_NUMBERS},
                }
                for name, each in found["members"].items()
            }
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.last, self.members = None, {}  # new, or written in part: accounts begin again

    def content(self) -> bytes:
        """The account as JSON."""
        return json.dumps({"last": self.last, "members": self.members}).encode()

    def groups(self) -> set[str]:
        """Groups among which energy is divided."""
        return {each["group"] for each in self.members.values()}

    def remove_ended(self, now_s: float) -> None:
        """Remove trackers that ended without a last reading."""
        self.members = {
            name: each
            for name, each in self.members.items()
            if _is_running(each["process"], otherwise=each["until_s"] >= now_s)
        }

    def divide(self, device: Device, now: Reading) -> None:
        """Add to each member its part of the energy since the last reading."""
        last, self.last = self.last, now
        n_groups = len(self.groups())
        if last is None or now.time_s <= last.time_s or not n_groups:
            return
        energy_j = device.joules_between(last, now)
        if energy_j is not None:
            for each in self.members.values():
                each["energy_j"] += energy_j / n_groups
                each["whole_j"] += energy_j
                each["n_trackers"] = max(each["n_trackers"], n_groups)
                each["covered_s"] += now.time_s - last.time_s


@contextmanager
def _locked_account(path: Path) -> Iterator[_Account]:
    """The account of a file under its lock; it is written back, or removed without members."""
    file = _open_locked(path)
    try:
        account = _Account(os.pread(file, MOST_BYTES, 0))
        try:
            yield account
        finally:
            content = account.content()
            os.ftruncate(file, os.pwrite(file, content, 0))
            if not account.members:
                # a file of another account stays, and the next tracker uses it
                with suppress(OSError):
                    path.unlink()
    finally:
        os.close(file)  # and unlock


def _open_locked(path: Path) -> int:
    """Descriptor of a file that is locked, and still the file at its path.

    Raises:
        TimeoutError: Another tracker reads the device for longer than `LOCK_TIMEOUT_S`.
        OSError: The file cannot be opened, or is no file.
    """
    end_s = time.monotonic() + LOCK_TIMEOUT_S
    while time.monotonic() < end_s:
        file = _open_account(path)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(f"{path} is no file")
            while not _try_lock(file) and time.monotonic() < end_s:
                time.sleep(LOCK_POLL_S)
            if _try_lock(file) and _is_at(file, path):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)
    raise TimeoutError(f"{path} is locked")


def _open_account(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        try:
            file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return os.open(path, flags)
        os.fchmod(file, 0o666)  # whatever the umask: the devices are those of every account
        return file


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: int, path: Path) -> bool:
    """Whether a file is still the one at its path, which its last tracker removes."""
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except FileNotFoundError:
        return False


def _make_folder(folder: Path) -> None:
    """Make the folder of the accounts, in which every account of the machine may write."""
    try:
        folder.mkdir()
        folder.chmod(0o1777)
    except FileExistsError:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "Permission denied")


def _file_name(device: Device) -> str:
    name = f"{device.component}-{device.basis}-{device.identity}"
    return f"{re.sub('[^A-Za-z0-9]+', '-', name)[:LONGEST_NAME]}.json"


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _process_name(pid: int) -> str:
    """Namespace, id and start of a process, which no other process has; empty if unknown."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink()
        # after the name in brackets, which may contain blanks, the start is field 22
        started = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""
    return f"{namespace} {pid} {started}"


def _is_running(process: str, *, otherwise: bool) -> bool:
    """Whether a process still runs; `otherwise` if it is of another namespace or unknown."""
    namespace, _, rest = process.partition(" ")
    pid = rest.partition(" ")[0]
    own = _process_name(os.getpid())
    if not pid.isdecimal() or not own.startswith(f"{namespace} "):
        return otherwise
    return _process_name(int(pid)) == process
