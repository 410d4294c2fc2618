# How Jupyter runs in a container of this project.
import os
import secrets
import sys

c = get_config()  # noqa: F821

# Reached from outside the container, so by whoever reaches its port.
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = 8888
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/workspace"
c.MappingKernelManager.default_kernel_name = "@PROJECT@"


def token():
    """JUPYTER_TOKEN, or the file JUPYTER_TOKEN_FILE, or a new one: an empty
    token would let everybody in, whatever the image's other settings say."""
    given = os.environ.get("JUPYTER_TOKEN", "").strip()
    path = os.environ.get("JUPYTER_TOKEN_FILE")
    if not given and path:
        with open(path) as file:
            given = file.read().strip()
    if not given:
        given = secrets.token_hex(24)
        print(f"Jupyter: http://127.0.0.1:8888/lab?token={given}", file=sys.stderr)
    # These settings are read once for each program that is involved.
    os.environ["JUPYTER_TOKEN"] = given
    return given


c.IdentityProvider.token = token()
