"""`python -m pointillist`: run the packaged project."""

import sys
from pathlib import Path
from typing import Any

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project


def main(*arguments: Any, **options: Any) -> Any:
    """Run the project as `kedro run` would."""
    package_name = Path(__file__).parent.name
    configure_project(package_name)
    interactive = hasattr(sys, "ps1")
    options["standalone_mode"] = not interactive
    return find_run_command(package_name)(*arguments, **options)


if __name__ == "__main__":
    main()
