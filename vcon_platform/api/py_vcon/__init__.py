"""py_vcon_server's REST API at the root path, for its clients as they are: the command ``vcon``, scripts, its editor.

The same paths, methods, parameters, success codes and bodies. Where that server is at fault the status is the right
one; ``VCON_COMPAT=py_vcon`` gives the old statuses to clients that test for them. Documents go out in the version in
which such a client posted them, and in 0.0.2 if they came another way, because its library refuses any other.
"""

from vcon_platform.api.py_vcon.routes import routers

__all__ = ["routers"]
