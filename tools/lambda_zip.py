"""Make the archive of `lambda.packaging: zip`: packages, models, service and start script, the same bytes each time.

    python lambda_zip.py FOLDER ARCHIVE

Refused where Lambda would refuse it: 250 MiB unzipped, with the layer of the Lambda Web Adapter.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

LIMIT = 262_144_000
LAYER = 10_000_000  # the adapter's layer counts as well; its binary has some 5 MB
LONG_AGO = (1980, 1, 1, 0, 0, 0)
EX_DATAERR = 65


def main(arguments: list[str]) -> int:
    """Write the archive."""
    folder, archive = map(Path, arguments)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    sys.stderr.write(f"{len(files)} files, {size:,} bytes unzipped, {LIMIT - LAYER - size:,} to spare\n")
    if size > LIMIT - LAYER:
        sys.stderr.write(f"Lambda takes {LIMIT:,} bytes with layers: leave out a package in tools/slim.py\n")
        return EX_DATAERR
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as out:
        for path in files:
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if path.suffix == ".sh" else 0o100644) << 16
            out.writestr(entry, path.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
