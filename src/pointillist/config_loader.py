"""Kedro's loader of configuration, in a folder of any name."""

from __future__ import annotations

import glob
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader


class AnywhereConfigLoader(OmegaConfigLoader):
    """OmegaConfigLoader finds files by a pattern that begins with the project's path.

    A path that is a pattern itself, as of a folder called ``[x]`` or ``what?``, is given to it by a
    symbolic link from a temporary folder.
    """

    def __init__(self, conf_source: str | Path, *arguments: Any, **options: Any) -> None:
        if glob.has_magic(str(conf_source)):
            folder = tempfile.mkdtemp(prefix="pointillist-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            link = Path(folder) / "conf"
            link.symlink_to(Path(conf_source).absolute(), target_is_directory=True)
            conf_source = str(link)
        super().__init__(conf_source, *arguments, **options)
