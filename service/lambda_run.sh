#!/bin/sh
# The handler of `lambda.packaging: zip`: the Lambda Web Adapter's layer starts it (AWS_LAMBDA_EXEC_WRAPPER=/opt/bootstrap).
here="$(dirname "$(readlink -f "$0")")"
cd "$here" || exit 1
export PYTHONPATH="$here" HOME=/tmp
# These paths are guarded by the adapter where it knows them; served elsewhere, anybody could close the connections.
if [ -n "${AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH:-}" ] && [ -n "${AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH:-}" ]; then
    export RAG_SNAPSHOTS=true
fi
exec python3 -m service
