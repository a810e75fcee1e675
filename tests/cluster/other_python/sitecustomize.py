"""A process with this folder on its PYTHONPATH says that it is another Python, of the same minor version."""

import sys


class _Version(tuple[int | str, ...]):
    """As ``sys.version_info`` is: a tuple with names."""

    major, minor, micro, releaselevel, serial = *sys.version_info[:2], 99, "final", 0


sys.version = sys.version.replace(".".join(map(str, sys.version_info[:3])), "{}.{}.99".format(*sys.version_info[:2]))
sys.version_info = _Version((*sys.version_info[:2], 99, "final", 0))  # type: ignore[assignment]
